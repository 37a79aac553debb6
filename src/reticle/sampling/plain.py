"""Is a call plain enough to go straight to the compiled sampler? That checks all it rests on; what it refuses is then looked at in words.

A network has just used the caches for something else when it calls, so that each piece of Python on the way comes from memory: a call takes
six times as long as in a loop that does nothing else, measured, and many a sample no longer than that.
"""

from collections.abc import Sequence

from torch import Tensor, float32, float64, uint8
from torch._C import _are_functorch_transforms_active as transforms_active
from torch.autograd import forward_ad
from torch.compiler import is_compiling
from torch.jit import is_tracing
from torch.nn import Parameter

from . import backends
from .modes import Mode
from .native import WHY_NOT
from .native_rules import sample
from .operators import MODE_IDS, PADDING_IDS

# names mean numbers here, but for what reads a value
_IDS = {(m, p): (i, k) for m, i in MODE_IDS.items() for p, k in PADDING_IDS.items() if p != "constant"}


def sample_plainly(
    operator: str,
    input: Tensor,
    where: Tensor,
    output_size: Sequence[int] | None,
    mode: str | Mode,
    padding_mode: str,
    align_corners: bool,
    backend: str,
) -> Tensor | None:
    """The sample; None if the call is not plain, or wrong: then it wants all checks. ``output_size``: of a warp; None for a grid."""
    if is_compiling() or WHY_NOT is not None or backend != "auto" or backends.forced != "auto":
        return None
    if not _is_memory(input) or not _is_memory(where) or transforms_active() or forward_ad._current_level >= 0 or is_tracing():
        return None
    if type(align_corners) is not bool or not _are_coordinates(where, input):
        return None
    try:
        how: tuple = (*_IDS[mode, padding_mode], align_corners)  # type: ignore[index]
        if output_size is not None:
            for n in output_size:
                if type(n) is not int:  # the operator takes True, too
                    return None
            how = (output_size, *how)
        return sample(operator, input, where, how, None)
    except (RuntimeError, TypeError, KeyError):
        return None


def _is_memory(x: Tensor) -> bool:
    """Whether it is a tensor on the CPU and nothing more."""
    return (type(x) is Tensor or type(x) is Parameter) and x.is_cpu


def _are_coordinates(where: Tensor, input: Tensor) -> bool:
    """Whether they are read as they are; of whole numbers there is no gradient to them."""
    return (where.dtype is float32 or where.dtype is float64) and not (input.dtype is uint8 and where.requires_grad)
