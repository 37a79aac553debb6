"""The images that the experiments train on. Read ``distortions.py``, then ``distorted.py``; the rest finds and reads files."""

from . import addition as addition  # each registers its data set
from . import digits as digits
from . import mnist as mnist
from . import volumes as volumes
from .addition import DigitSums as DigitSums
from .distorted import DATASETS as DATASETS
from .distorted import DistortedDigits as DistortedDigits
from .distortions import DISTORTIONS as DISTORTIONS
from .distortions import AbstractDistortion as AbstractDistortion
from .idx import read_idx as read_idx
from .split import Split as Split
from .volumes import DigitVolumes as DigitVolumes
