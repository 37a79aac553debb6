"""The images that the experiments train on. Distorted digits: ``distortions.py``, then ``distorted.py``; photographs: ``labelled.py``,
then ``folder.py``; the rest finds and reads files.
"""

from . import addition as addition  # each registers its data set
from . import arrays as arrays
from . import colocalisation as colocalisation
from . import digits as digits
from . import folder as folder
from . import gtsrb as gtsrb
from . import listing as listing
from . import mnist as mnist
from . import sequence as sequence
from . import signs as signs
from . import volumes as volumes
from . import windows as windows
from .addition import DigitSums as DigitSums
from .decode import Format as Format
from .decode import decode_image as decode_image
from .distorted import DATASETS as DATASETS
from .distorted import DistortedDigits as DistortedDigits
from .distortions import DISTORTIONS as DISTORTIONS
from .distortions import AbstractDistortion as AbstractDistortion
from .idx import read_idx as read_idx
from .labelled import Labelled as Labelled
from .labelled import LabelledImages as LabelledImages
from .split import Split as Split
from .volumes import DigitVolumes as DigitVolumes
from .windows import DigitWindows as DigitWindows
