"""With what was a number measured? The machine, torch and the state of the code."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

PACKAGE = Path(__file__).resolve().parents[1]


def hardware(device: torch.device) -> str:
    """The model of the processor, or of the GPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def commit() -> str:
    """``git describe`` where the package lies in its own checkout, else its version."""
    # an installed package may lie inside somebody else's repository, whose commit says nothing
    if (PACKAGE.parents[1] / ".git").exists():
        describe = ["git", "-C", str(PACKAGE), "describe", "--always", "--dirty", "--tags"]
        found = subprocess.run(describe, capture_output=True, text=True, check=False)
        if found.returncode == 0:
            return found.stdout.strip()
    try:
        return version("reticle")
    except PackageNotFoundError:
        return "unknown"
