"""Networks from the papers: plain modules, one file per paper, each found by its name in ``MODELS``."""

from .base import MODELS as MODELS
from .contrast import ContrastNorm as ContrastNorm
from .contrast import GlobalNorm as GlobalNorm
from .jaderberg2015 import CNN as CNN
from .jaderberg2015 import FCN as FCN
from .jaderberg2015 import STCNN as STCNN
from .jaderberg2015 import STFCN as STFCN
from .jaderberg2015 import ParallelSTFCN as ParallelSTFCN
from .jaderberg2015_volumes import STVolumeCNN as STVolumeCNN
from .jaderberg2015_volumes import VolumeCNN as VolumeCNN
from .localizers import RefiningLocalizer as RefiningLocalizer
from .localizers import SharedFeatures as SharedFeatures
from .locator import Locator as Locator
from .moodstocks2015 import IDSIA as IDSIA
from .sonderby2015 import FFNSPN as FFNSPN
from .sonderby2015 import RNNSPN as RNNSPN
from .sonderby2015 import SPNCNN as SPNCNN
