"""What is a set of digits? Bytes, labels, and where the ink is."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


class Split(NamedTuple):
    """Square grey images and what they show."""

    images: np.ndarray
    """``(N, S, S)``, uint8, ink bright on black"""
    labels: np.ndarray
    """``(N,)``, whole numbers"""


class Digits:
    """A checked split: images as bytes, labels, and where the ink is."""

    def __init__(self, name: str, split: Split, limit: int | None, num_classes: int) -> None:
        images, labels = (np.asarray(x)[:limit] for x in split)
        _check(name, images, labels, num_classes)
        self.side = images.shape[-1]
        self.ink = ink_boxes(images)
        self.images = torch.from_numpy(np.ascontiguousarray(images))
        self.labels = torch.from_numpy(labels.astype(np.int64))

    def pixels(self, index: np.ndarray, device: torch.device | str = "cpu") -> Float[Tensor, "b 1 s s"]:
        """Undistorted images, in [0, 1]; bytes travel to the device, floats do not."""
        return self.images[torch.from_numpy(index)][:, None].to(device) / 255


def ink_boxes(images: np.ndarray) -> Float[np.ndarray, "b 4"]:
    """The boxes around all pixels above 0 of ``(B, S, S)``, in the form that :meth:`AbstractDistortion.draw` takes."""
    edges = [_first_and_end(images.max(axis) > 0) for axis in (1, 2)]
    first, end = (np.stack(edge, axis=-1) for edge in zip(*edges, strict=True))
    return np.concatenate([(first + end) / 2 - images.shape[-1] / 2, (end - first) / 2], axis=1)


def _first_and_end(inked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # an image without ink counts as all ink
    return inked.argmax(1), inked.shape[1] - inked[:, ::-1].argmax(1)


def _check(name: str, images: np.ndarray, labels: np.ndarray, num_classes: int) -> None:
    fn = f"DistortedDigits: `{name}`"
    if images.dtype != np.uint8:
        raise TypeError(f"{fn} must have uint8 images; got {images.dtype}.\n  Scale them to 0 .. 255 and round.")
    if images.ndim != 3 or images.shape[1] != images.shape[2] or 0 in images.shape:
        raise ValueError(f"{fn} must have images (N, S, S), at least one; got {images.shape}.")
    if labels.shape != images.shape[:1]:
        raise ValueError(f"{fn} must have one label for each of its {len(images)} images; got {labels.shape}.")
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(f"{fn} must have whole labels from 0 to {num_classes - 1}; got {labels.dtype} {labels.min()} to {labels.max()}.")
