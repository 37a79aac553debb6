"""The images that the experiments train on. Read ``distortions.py``, then ``distorted.py``; the rest finds and reads files."""

from . import digits as digits  # each registers its data set
from . import gtsrb as gtsrb
from . import mnist as mnist
from . import signs as signs
from .distorted import DATASETS as DATASETS
from .distorted import DistortedDigits as DistortedDigits
from .distortions import DISTORTIONS as DISTORTIONS
from .distortions import AbstractDistortion as AbstractDistortion
from .idx import read_idx as read_idx
from .labelled import Labelled as Labelled
from .labelled import LabelledImages as LabelledImages
from .split import Split as Split
