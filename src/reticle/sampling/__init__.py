"""The sampler: what does the input show at the points of a grid? Knows nothing of theta."""

from .backends import BACKENDS as BACKENDS
from .backends import Spec as Spec
from .backends import explain as explain
from .backends import find_backend as find_backend
from .backends import use_backend as use_backend
from .functional import grid_sample as grid_sample
from .fused import warp as warp
from .modes import MODES as MODES
from .modes import Mode as Mode
from .modes import find_mode as find_mode
from .padding import PADDING_MODES as PADDING_MODES
from .padding import Padding as Padding
from .prefilter import prefilter as prefilter
