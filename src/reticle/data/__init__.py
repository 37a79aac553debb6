"""The images that the experiments train on. Read ``distortions.py``, then ``distorted.py``; the rest finds and reads files."""

from . import colocalisation as colocalisation  # each registers its data set
from . import digits as digits
from . import mnist as mnist
from . import sequence as sequence
from .distorted import DATASETS as DATASETS
from .distorted import DistortedDigits as DistortedDigits
from .distortions import DISTORTIONS as DISTORTIONS
from .distortions import AbstractDistortion as AbstractDistortion
from .idx import read_idx as read_idx
from .split import Split as Split
