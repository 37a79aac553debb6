"""What is in an IDX file? The format of MNIST and its relatives: a magic number, the sizes, then bytes."""

import gzip
import hashlib
import math
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .download import AGAIN

GZIP = b"\x1f\x8b"
UINT8 = b"\x00\x00\x08"


def read_idx(path: Path | str, *, shape: Sequence[int] | None = None, md5: str | None = None) -> np.ndarray:
    """Read a whole IDX file of bytes, plain or gzipped (the content decides, not the name).

    Args:
        path: the file; it is only read.
        shape: what its header must say.
        md5: checksum that the unpacked file must have.
    Returns:
        A uint8 array of the shape in the header.
    Raises:
        ValueError: the file is damaged or another one than expected.
        OSError: it cannot be read.
    """
    path = Path(path)
    content = _unpack(path)
    if content[:3] != UINT8 or len(content) < 4 or len(content) < 4 + 4 * content[3]:
        raise _damaged(path, "begin with an IDX header of bytes, 00 00 08 and the sizes", f"{content[:8].hex(' ') or 'an empty file'}")
    found = tuple(int(n) for n in np.frombuffer(content, ">u4", count=content[3], offset=4))
    if shape is not None and found != tuple(shape):
        raise _damaged(path, f"hold {tuple(shape)} bytes", f"{found}")
    offset = 4 + 4 * len(found)
    if len(content) - offset != math.prod(found):
        raise _damaged(path, f"hold {math.prod(found)} bytes after its header, {found}", f"{len(content) - offset}")
    checksum = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 is not None and checksum != md5:
        raise _damaged(path, f"have the md5 {md5} when unpacked", checksum)
    return np.frombuffer(content, np.uint8, offset=offset).reshape(found).copy()  # a view would be read-only


def _unpack(path: Path) -> bytes:
    content = path.read_bytes()
    if not content.startswith(GZIP):
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _damaged(path, "be a whole gzip file", f"{len(content)} bytes that do not unpack ({error})") from None


def _damaged(path: Path, must: str, got: str) -> ValueError:
    return ValueError(f"{path} must {must}; got {got}.\n  {AGAIN}")
