"""What is installed here, and which backend computes what, and why not another?"""

import platform

import torch

from .sampling import MODES, PADDING_MODES, native, triton
from .sampling.backends import BACKENDS, Spec
from .training.machine import commit, hardware


def describe() -> str:
    """Versions, devices, and for each sampling mode the backend that images in float32 get."""
    gpu = torch.device("cuda") if torch.cuda.is_available() else None
    lines = [
        f"reticle   {commit()}",
        f"python    {platform.python_version()}",
        f"torch     {torch.__version__}",
        f"processor {hardware(torch.device('cpu'))}, {torch.get_num_threads()} threads",
        f"gpu       {hardware(gpu) if gpu else 'none'}",
        f"native    {native.WHY_NOT or native.instruction_set()}",
        f"triton    {_triton(gpu)}",
        "",
        "backend of 2-D images in float32, by mode and padding mode:",
    ]
    for mode in MODES:
        lines += _lines(mode, gpu or torch.device("cpu"))
    return "\n".join(lines)


def _triton(gpu: torch.device | None) -> str:
    """Its version, or why it computes nothing here."""
    why = triton.why_not()
    if why is None and gpu is None and not triton.INTERPRETED:
        return f"{triton.version()}, has no GPU to compute on"
    return why or triton.version()


def _lines(mode: str, device: torch.device) -> list[str]:
    """One line for each backend that is chosen; what stands before it in the order says why it is not."""
    chosen: dict[str, list[str]] = {}
    for padding_mode in PADDING_MODES:
        reasons = []
        spec = Spec(device.type, torch.float32, 2, mode, padding_mode, False)
        for backend in BACKENDS:
            why = backend.refuses(spec)
            if why is None:
                break
            if why not in (native.WHY_NOT, triton.why_not()) and not why.startswith("computes on "):  # said once, above, or plain to see
                reasons.append(f"{backend.name} {why}")
        chosen.setdefault("; ".join([backend.name, *reasons]), []).append(padding_mode)
    return [f"  {mode:<10}{', '.join(paddings):<45}{text}" for text, paddings in chosen.items()]
