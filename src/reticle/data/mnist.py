"""MNIST: 60,000 + 10,000 handwritten digits of 28 x 28 pixels, found in a folder or downloaded once."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pooch

from .distorted import DATASETS, DistortedDigits
from .download import fetch, roots
from .idx import read_idx
from .split import Split

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
FOLDERS = ("", "mnist", "MNIST/raw")  # the last is torchvision's


class IdxFile(NamedTuple):
    """One file of the original distribution."""

    name: str
    shape: tuple[int, ...]
    md5: str
    """of the unpacked content, so that a file packed anew is as good"""
    md5_gz: str


FILES = {
    "train_images": IdxFile(
        "train-images-idx3-ubyte", (60000, 28, 28), "6bbc9ace898e44ae57da46a324031adb", "f68b3c2dcbeaaa9fbdd348bbdeb94873"
    ),
    "train_labels": IdxFile("train-labels-idx1-ubyte", (60000,), "a25bea736e30d166cdddb491f175f624", "d53e105ee54ea40749a09fcbcd1e9432"),
    "test_images": IdxFile(
        "t10k-images-idx3-ubyte", (10000, 28, 28), "2646ac647ad5339dbf082846283269ea", "9fb629c4189551a2d022fa330f9573f3"
    ),
    "test_labels": IdxFile("t10k-labels-idx1-ubyte", (10000,), "27ae3e4e09519cfbb04c329615203637", "ec29112dd5afa0611ce80d1b7f02629c"),
}


@DATASETS.register("mnist")
def mnist(
    *,
    distortion: str = "rts",
    canvas: int | None = None,
    clutter: int | None = None,
    limit: int | None = None,
    data_dir: Path | str | None = None,
) -> DistortedDigits:
    """MNIST under a distortion of the paper.

    The four files, gzipped or not, are looked for in ``data_dir``, in ``$RETICLE_DATA`` (both also in their ``mnist`` and ``MNIST/raw``)
    and in the user's cache, and otherwise downloaded there. A damaged file is an error: it is neither passed over nor replaced.

    Args:
        distortion, canvas, clutter, limit: as for :class:`DistortedDigits`.
        data_dir: an existing folder.
    Raises:
        ValueError: a folder does not exist, or a file is damaged.
        FileNotFoundError: a file is nowhere and cannot be downloaded.

    Reference: LeCun, Cortes & Burges 1998; Jaderberg et al. 2015, sec. 4.1.
    """
    arrays = {key: read_mnist(file, data_dir) for key, file in FILES.items()}
    train = Split(arrays["train_images"], arrays["train_labels"])
    test = Split(arrays["test_images"], arrays["test_labels"])
    return DistortedDigits(train, test, distortion=distortion, canvas=canvas, clutter=clutter, limit=limit)


def read_mnist(file: IdxFile, data_dir: Path | str | None = None) -> np.ndarray:
    """Find, check and read one of the four files."""
    for root in roots("reticle.data.mnist", data_dir):
        for path in (root / folder / f"{file.name}{end}" for folder in FOLDERS for end in (".gz", "")):
            if path.is_file():
                return read_idx(path, shape=file.shape, md5=file.md5)
    return read_idx(_download(file), shape=file.shape, md5=file.md5)


def _download(file: IdxFile) -> Path:
    try:
        return fetch(f"{file.name}.gz", md5=file.md5_gz, mirrors=MIRRORS, folder=pooch.os_cache("reticle") / "mnist")
    except FileNotFoundError as error:
        fix = "\n  Put MNIST's four .gz files into a folder and name it with --data-dir or $RETICLE_DATA, or take the data set `digits`."
        raise FileNotFoundError(f"{error}{fix}") from None
