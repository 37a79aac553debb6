"""How is the state of a training kept, so that it always loads, and is never a diverged one?"""

import io
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from .atomic import write_atomically


def write_tensors(file: Path, tensors: dict[str, Tensor]) -> None:
    """Write ``tensors`` as safetensors, atomically."""
    # safetensors refuses tensors that share memory, such as the weights of a layer used twice
    write_atomically(file, save({name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}))


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Read what :func:`write_tensors` wrote.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        return load_file(file)
    except SafetensorError as error:
        raise ValueError(f"{file}: must be a safetensors file; it is damaged ({error}).\n  Delete it, or train again.") from None


def load_weights(model: nn.Module, weights: dict[str, Tensor], file: Path) -> None:
    """Give ``model`` the ``weights`` that were read from ``file``.

    Raises:
        ValueError: they are those of another model; the message names one that differs.
    """
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        own = model.state_dict()
        differ = [name for name in own | weights if _shape(own, name) != _shape(weights, name)]
        if not differ:
            raise
        name = differ[0]
        got = f"{name!r} is {_shape(weights, name)} in the file and {_shape(own, name)} in the model"
        fix = "Was the recipe, or the code of the model, changed after the training?"
        raise ValueError(f"{file}: must hold the weights of the recipe's model; {got}.\n  {fix}") from error


def _shape(weights: dict[str, Tensor], name: str) -> str:
    return f"of shape {tuple(weights[name].shape)}" if name in weights else "missing"


def save_checkpoint(file: Path, state: dict[str, Any], *, staged: Path | None = None) -> None:
    """Write ``state`` (tensors, numbers, text, and dicts and lists of them), atomically; beside ``file``, if it is ``staged`` there.

    Raises:
        FloatingPointError: a tensor holds NaN or infinity; the last good checkpoint stays.
        OSError: the disk is full; the last good checkpoint stays.
    """
    if bad := _not_finite(state):
        raise FloatingPointError(f"the training state is not finite ({bad}); it is not saved.\n  The last good checkpoint stays: {file}")
    memory = io.BytesIO()
    # through memory: torch's own file writer answers a full disk with a crash of its destructor
    torch.save(_own(state), memory)
    write_atomically(staged or file, memory.getvalue())


def load_checkpoint(file: Path) -> dict[str, Any]:
    """Read what :func:`save_checkpoint` wrote, onto the CPU.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{file}: must be a checkpoint; it is damaged ({reason}).\n  Delete it to train again from the start.") from None
    return state


def _own(state: Any) -> Any:
    """``state``, where a tensor that is part of a larger one does not take the whole of it along into the file."""
    if isinstance(state, Tensor):
        return state if state.untyped_storage().nbytes() == state.numel() * state.element_size() else state.clone()
    if isinstance(state, dict):
        return {key: _own(child) for key, child in state.items()}
    return type(state)(_own(child) for child in state) if type(state) in (list, tuple) else state


def _not_finite(state: Any, path: str = "") -> str:
    """The path of the first tensor in ``state`` that holds NaN or infinity, or nothing."""
    if isinstance(state, Tensor):
        return path if not bool(state.isfinite().all()) else ""
    children = state.items() if isinstance(state, dict) else enumerate(state) if isinstance(state, list | tuple) else ()
    return next((bad for key, child in children if (bad := _not_finite(child, f"{path}.{key}" if path else str(key)))), "")
