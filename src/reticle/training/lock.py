"""What keeps two processes from training in one folder? A lock that ends with the process that holds it, however it ends."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from .atomic import failure, make_folder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Be the only one who trains in ``folder``; where the system or the file system has no locks, nothing keeps others out.

    Raises:
        FileExistsError: another process trains there, or it is a file.
        OSError: the folder cannot be written.
    """
    make_folder(folder)
    try:
        # it stays: who deletes a lock may delete the one that another process has just taken
        lock = open(folder / ".lock", "a")
    except OSError as error:
        raise failure(folder, error) from error
    with lock:
        _take(lock.fileno(), folder)
        yield


def _take(lock: int, folder: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fix = "Wait until it ends and go on with --resume, or choose another --out."
        raise FileExistsError(f"{folder}: another process is training here.\n  {fix}") from None
    except OSError:
        return  # some network file systems have none
