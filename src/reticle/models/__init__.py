"""Networks from the papers: plain modules, one file per paper, each found by its name in ``MODELS``."""

from .base import MODELS as MODELS
from .jaderberg2015 import CNN as CNN
from .jaderberg2015 import FCN as FCN
from .jaderberg2015 import STCNN as STCNN
from .jaderberg2015 import STFCN as STFCN
from .locator import Locator as Locator
from .sonderby2015 import FFNSPN as FFNSPN
from .sonderby2015 import RNNSPN as RNNSPN
from .sonderby2015 import SPNCNN as SPNCNN
