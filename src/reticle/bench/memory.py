"""How much memory does a call need at its peak, beyond its inputs? Read from Linux, which sees every allocator, ours and the peers'.

The high-water mark of resident memory is reset before the call (``/proc/self/clear_refs``), after freed memory went back to the
system (``malloc_trim``): what the C library keeps for reuse would hide what a call takes. Elsewhere nothing is measured.
"""

import ctypes
import gc
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_mib(call: Callable[[], Any], device: str = "cpu") -> float | None:
    """MiB by which memory grew while ``call`` ran, its result included; None where the system does not tell."""
    if device != "cpu":
        return _peak_of_gpu(call)
    if not RESET.exists():
        return None
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        return None
    trim(0)
    RESET.write_text("5")
    before = _kib("VmRSS")
    result = call()
    grown = _kib("VmHWM") - before
    del result
    return max(grown, 0) / 1024


def _peak_of_gpu(call: Callable[[], Any]) -> float:
    """By torch's own account: what its allocator gave away."""
    gc.collect()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    result = call()
    torch.cuda.synchronize()
    grown = torch.cuda.max_memory_allocated() - before
    del result
    return grown / 2**20


def _kib(name: str) -> int:
    match = re.search(rf"^{name}:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    assert match is not None, f"{STATUS} has no {name}"
    return int(match[1])
