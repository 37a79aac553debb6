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

# without the constant one, whose value wants checks
_PADDING_IDS = {name: i for name, i in PADDING_IDS.items() if name != "constant"}


def sample_plainly(
    operator: str,
    input: Tensor,
    where: Tensor,
    output_size: Sequence[int] | None,
    mode: str | Mode,
    padding_mode: str,
    align_corners: bool,
    backend: str,
) -> Tensor | RuntimeError | None:
    """The sample; None if the call is not plain; an error, which is to be raised if checks in words find nothing wrong with the arguments.

    ``output_size``: of a warp, None for the input's; ``()`` for a grid.
    """
    if is_compiling() or WHY_NOT is not None or backend != "auto" or backends.forced != "auto":
        return None
    if not _is_memory(input) or not _is_memory(where) or transforms_active() or forward_ad._current_level >= 0 or is_tracing():
        return None
    if type(align_corners) is not bool or not _are_names(mode, padding_mode) or not _are_coordinates(where, input):
        return None
    if output_size is not None and not _are_numbers(output_size):
        return None
    how: tuple = (MODE_IDS[mode], _PADDING_IDS[padding_mode], align_corners)  # type: ignore[index]
    try:
        size = tuple(input.shape)[2:] if output_size is None else output_size
        return sample(operator, input, where, (size, *how) if size else how, None)
    except RuntimeError as error:
        return error


def _is_memory(x: Tensor) -> bool:
    """Whether it is a tensor on the CPU and nothing more."""
    return (type(x) is Tensor or type(x) is Parameter) and x.is_cpu


def _are_names(mode: str | Mode, padding_mode: str) -> bool:
    """Whether they are those of what the compiled sampler does without a value."""
    return isinstance(mode, str) and isinstance(padding_mode, str) and mode in MODE_IDS and padding_mode in _PADDING_IDS


def _are_coordinates(where: Tensor, input: Tensor) -> bool:
    """Whether they are read as they are; of whole numbers there is no gradient to them."""
    return (where.dtype is float32 or where.dtype is float64) and not (input.dtype is uint8 and where.requires_grad)


def _are_numbers(size: Sequence[int]) -> bool:
    """Whether they are what the operator takes for numbers, which takes True, too."""
    if not isinstance(size, tuple | list):
        return False
    for n in size:  # a generator for all() costs more than all the rest
        if type(n) is not int:
            return False
    return True
