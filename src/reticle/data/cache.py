"""How is work on many files done once? Arrays in the user's cache folder, found again as long as the files stay as they are."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pooch

VERSION = 2  # of what the arrays mean: raise it when they change


def cached(kind: str, key: Any, make: Callable[[], Mapping[str, np.ndarray]], *, enabled: bool = True) -> dict[str, np.ndarray]:
    """The arrays that ``make`` returns, kept in the user's cache folder under ``key``; read from there the next time.

    Arrays come back mapped into memory, read-only: several processes share them. They are written whole or not at all; damaged ones
    are made again. A cache that cannot be written is no error: the work is done again the next time.

    Args:
        kind: the name of the folder below ``images`` in the cache.
        key: anything that JSON can write; all that the arrays depend on.
        enabled: whether to look and keep at all.
    """
    if not enabled:
        return dict(make())
    digest = hashlib.sha256(json.dumps([VERSION, key], sort_keys=True).encode()).hexdigest()[:24]
    folder = Path(pooch.os_cache("reticle"), "images", kind, digest)
    if (found := _read(folder)) is not None:
        return found
    arrays = dict(make())
    return arrays if not _write(folder, arrays) else _read(folder) or arrays


def stamp(files: Iterable[Path]) -> str:
    """What changes when one of ``files`` does: a digest of their names, sizes and times."""
    digest = hashlib.sha256()
    for file in files:
        state = file.stat()
        digest.update(f"{file.resolve()}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _read(folder: Path) -> dict[str, np.ndarray] | None:
    try:
        names = json.loads((folder / "arrays.json").read_text())
        return {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}
    except (OSError, ValueError, EOFError):
        return None


def _write(folder: Path, arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether the arrays could be written: a folder beside, which then takes the place of what is there."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError:
        return False
    try:
        for name, array in arrays.items():
            np.save(beside / f"{name}.npy", array)
        (beside / "arrays.json").write_text(json.dumps(list(arrays)))
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(beside, folder)
    except OSError:  # a full disk; or another process was faster
        return folder.exists()
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(beside, ignore_errors=True)
    return True
