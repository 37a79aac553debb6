"""Real handwritten digits that need no download: the 1,797 scans of 8 x 8 pixels that come with scikit-learn."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..sampling import warp
from .distorted import DATASETS, DistortedDigits
from .split import Split

SIDE, INK_SIDE = 28, 20  # as MNIST: a digit of 20 x 20 in the middle of 28 x 28
NUM_TEST = 500


@DATASETS.register("digits")
def digits(
    *,
    distortion: str = "rts",
    canvas: int | None = None,
    clutter: int | None = None,
    limit: int | None = None,
    data_dir: Path | str | None = None,
) -> DistortedDigits:
    """Scikit-learn's digits, enlarged to MNIST's format, under a distortion of the paper: 1,297 to train on, 500 to test.

    The split is fixed, has every class in proportion, and keeps the order of the file. Both sides have the same writers.

    Args:
        distortion, canvas, clutter, limit: as for :class:`DistortedDigits`.
        data_dir: not needed; taken so that data sets can be exchanged.

    Reference: Alpaydin & Kaynak 1998, Optical Recognition of Handwritten Digits (UCI).
    """
    from sklearn.datasets import load_digits  # takes a second to import

    scans = load_digits()
    images, labels = _enlarge(torch.from_numpy(scans.images)).numpy(), scans.target
    is_test = _every_few_of_a_class(labels, NUM_TEST)
    train, test = Split(images[~is_test], labels[~is_test]), Split(images[is_test], labels[is_test])
    return DistortedDigits(train, test, distortion=distortion, canvas=canvas, clutter=clutter, limit=limit)


def _enlarge(scans: Tensor) -> Tensor:
    """Grey levels 0 to 16 on 8 x 8 pixels -> 0 to 255 on 28 x 28."""
    zoom = SIDE / INK_SIDE
    matrix = torch.tensor([[[zoom, 0, 0], [0, zoom, 0]]])
    smooth = warp(scans[:, None].float() / 16, matrix, (SIDE, SIDE), "bicubic")
    # the kernel's negative lobes multiply to a faint ghost (3 / 255) around the ink: raise the black level over it
    return ((smooth[:, 0] * 1.02 - 0.02).clamp(0, 1) * 255).round().to(torch.uint8)


def _every_few_of_a_class(labels: np.ndarray, count: int) -> np.ndarray:
    """Mark ``count`` samples, evenly spread over the samples sorted by class; no random generator to depend on."""
    marked = np.zeros(len(labels), dtype=bool)
    marked[np.argsort(labels, kind="stable")[np.arange(count) * len(labels) // count]] = True
    return marked
