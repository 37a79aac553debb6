"""How does a file become pixels of the wanted size? Decoded once, upright, as bytes; what cannot be decoded is named."""

import functools
import io
import multiprocessing
import os
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.data import DataLoader, Dataset

FITS = ("stretch", "crop", "pad")
CHUNK = 64  # images that a process decodes at a time
WIDENED = ("PNG", "PPM")  # formats of at most 16 bits, which Pillow may hold in 32
MANY = 50_000_000  # bytes of files from which on several processes decode
# whatever Pillow's decoders raise at damaged content
DAMAGED = (OSError, ValueError, SyntaxError, EOFError, IndexError, struct.error, zlib.error, Image.DecompressionBombError)


class ImageFile(NamedTuple):
    """A file, or a member of a zip archive."""

    path: Path
    member: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.member}" if self.member else str(self.path)

    def read(self) -> bytes:
        """The content."""
        return _archive(self.path, os.getpid()).read(self.member) if self.member else self.path.read_bytes()


class Format(NamedTuple):
    """What an image shall become: ``size`` (H, W), three ``channels`` or one, and how another shape is made to ``fit``."""

    size: tuple[int, int]
    channels: int = 3
    fit: str = "stretch"


def decode_image(content: bytes, want: Format) -> np.ndarray:
    """Pixels ``(H, W, C)``, uint8, of an image file of any kind that Pillow reads.

    Turned as its EXIF data says. Grey becomes colour and the other way round as ``want.channels`` asks; transparent pixels become
    white; of 16 bits the upper 8 are taken. ``stretch`` ignores the proportions, ``crop`` keeps them and cuts the longer side, ``pad``
    keeps them and fills up with black. Shrinking averages (Pillow's bilinear filter).

    Raises:
        OSError, ValueError, ...: one of ``DAMAGED``; the image does not decode, or has 32 bits a channel.
    """
    height, width = want.size
    with Image.open(io.BytesIO(content)) as image:
        # of a large JPEG only as many pixels are decoded as are needed
        image.draft(None, (2 * max(want.size), 2 * max(want.size)))
        picture = _as_mode(_in_bytes(ImageOps.exif_transpose(image), image.format), "RGB" if want.channels == 3 else "L")
    if want.fit == "stretch":
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    else:
        shape = ImageOps.fit if want.fit == "crop" else ImageOps.pad
        picture = shape(picture, (width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture).reshape(height, width, want.channels)


def decode_files(
    files: Sequence[ImageFile], want: Format, *, on_error: str | None = "stop", workers: int | None = None, name: str = "decoding"
) -> tuple[np.ndarray, np.ndarray]:
    """Decode ``files`` with a progress bar; return their pixels ``(N, H, W, C)`` and which of them decode, ``(number of files,)``.

    Args:
        want: as for :func:`decode_image`.
        on_error: ``"stop"`` raises if any file does not decode; ``"skip"`` leaves those out; None: as stop, where there is no choice.
        workers: processes; as the machine has processors if there is much to decode and None is given, 0 for this process alone.
        name: stands beside the bar.
    Raises:
        ValueError: a file does not decode; the message names the first ones.
    """
    images, bad = np.empty((len(files), *want.size, want.channels), np.uint8), {}
    count = _workers(files) if workers is None else workers
    loader = DataLoader(_Decoder(files, want), batch_size=CHUNK, num_workers=count, collate_fn=list)
    with _bar(name) as bar:
        for index, (pixels, reason) in enumerate(bar_over(bar, loader, len(files), name)):
            if pixels is None:
                bad[index] = reason
            else:
                images[index] = pixels
    if bad and on_error != "skip":
        listed = "".join(f"\n    {files[index]}: {reason}" for index, reason in list(bad.items())[:5])
        fix = "Mend or remove them, or leave them out with on_error: skip." if on_error else "Mend them, or leave them out."
        raise ValueError(f"{len(bad)} of {len(files):,} images must decode, and do not:{listed}\n  {fix}")
    good = np.ones(len(files), dtype=bool)
    good[list(bad)] = False
    return images[good] if bad else images, good


def bar_over(bar: Progress, loader: DataLoader, total: int, name: str) -> Any:
    """The answers of ``loader`` one by one, with the bar moving along."""
    task = bar.add_task(name, total=total)
    for chunk in loader:
        yield from chunk
        bar.advance(task, len(chunk))


class _Decoder(Dataset):
    """Pixels and no reason, or no pixels and the reason: errors do not travel well between processes."""

    def __init__(self, files: Sequence[ImageFile], want: Format) -> None:
        self.files, self.want = files, want

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[np.ndarray | None, str]:
        try:
            return decode_image(self.files[index].read(), self.want), ""
        except DAMAGED as error:
            reason = str(error).partition(" <_io.")[0]  # Pillow names the object in memory
            return None, " ".join(reason.split()) or type(error).__name__


def _in_bytes(image: Image.Image, kind: str | None) -> Image.Image:
    # by the format alone: were it by the values, one grey would be another in each image
    if image.mode.startswith("I;16") or (image.mode == "I" and kind in WIDENED):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        what = "floating-point numbers" if image.mode == "F" else "whole numbers of any size"
        raise ValueError(f"must have 8 or 16 bits a channel; got {what}, of which none is known to be white. Save it with 8 or 16 bits")
    return image


def _as_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)


def _workers(files: Sequence[ImageFile]) -> int:
    size = sum(path.stat().st_size for path in {file.path for file in files})
    # other ways to start a process run the user's script again, which must be written for it
    many = size > MANY and multiprocessing.get_start_method() == "fork"
    return min(8, os.cpu_count() or 1) if many else 0


@functools.lru_cache(maxsize=8)
def _archive(path: Path, process: int) -> zipfile.ZipFile:
    # an open file must not be shared by processes: each has its own position
    return zipfile.ZipFile(path)


def _bar(name: str) -> Progress:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
