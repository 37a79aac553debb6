"""Which images does step n of a run see, if they are photographs in classes? Bytes on the CPU, in random order."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from .decode import Format
from .order import TRAIN, check_whole, class_by_class, first_of_classes, generator, part_of, shuffled

Weights = str | Mapping[str | int, float] | None


class Labelled(NamedTuple):
    """Images of one size and what they show."""

    images: np.ndarray
    """``(N, H, W, C)``, uint8, one or three channels"""
    labels: np.ndarray
    """``(N,)``, whole numbers"""


class LabelledImages:
    """Endless training batches and one fixed test set of images in classes; nothing is augmented.

    A batch is a pure function of (seed, step), whoever asks, on any device and any number of processes.

    Args:
        train, test: the images; kept as bytes on the CPU, or mapped from a file.
        classes: the names of the classes; a label is an index into them.
        class_weights: how often images of a class are drawn: by their number if None (each image once an epoch), ``"balanced"``
            (every class as often as every other), or a factor for each class that is named, 1 for the others.
        limit: keep only so many training and test images, the first of each class, then the second of each, ...
        want: how the images were decoded; ``reticle predict`` treats new ones alike.
    Raises:
        ValueError: an argument or a set of images is wrong.

    >>> dark, bright = np.zeros((4, 8, 8, 3), np.uint8), np.full((4, 8, 8, 3), 255, np.uint8)
    >>> both = Labelled(np.concatenate([dark, bright]), np.repeat([0, 1], 4))
    >>> data = LabelledImages(both, both, classes=["night", "day"])
    >>> images, labels = data.train_batch(0, 2, seed=0)
    >>> tuple(images.shape), bool((images.amax((1, 2, 3)) == labels).all())
    ((2, 3, 8, 8), True)
    """

    def __init__(
        self,
        train: Labelled,
        test: Labelled,
        *,
        classes: Sequence[str | int],
        class_weights: Weights = None,
        limit: int | None = None,
        want: Format | None = None,
    ) -> None:
        if limit is not None:
            check_whole("limit", limit, 1, "LabelledImages")
        for name, split in (("train", train), ("test", test)):
            _check(name, split, len(classes))
        if train.images.shape[1:] != test.images.shape[1:]:
            shapes = f"{train.images.shape[1:]} and {test.images.shape[1:]}"
            raise ValueError(f"LabelledImages: `train` and `test` must have images of one size; got {shapes}.")
        self.train, self.test = (
            Labelled(images, labels.astype(np.int64)) for images, labels in (_first(train, limit), _first(test, limit))
        )
        self.class_names, self.num_classes = tuple(map(str, classes)), len(classes)
        height, width, channels = train.images.shape[1:]
        self.want = want or Format((height, width), channels)
        self.probability = _probability(self.train.labels, self.class_names, class_weights)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape ``(C, H, W)`` of one image."""
        height, width, channels = self.train.images.shape[1:]
        return channels, height, width

    @property
    def num_train(self) -> int:
        """Number of training images."""
        return len(self.train.labels)

    @property
    def num_test(self) -> int:
        """Number of test images."""
        return len(self.test.labels)

    def train_batch(
        self, step: int, batch_size: int, *, seed: int, rank: int = 0, world_size: int = 1, device: torch.device | str = "cpu"
    ) -> tuple[Float[Tensor, "b c h w"], Int[Tensor, " b"]]:
        """Return this process's images, in [0, 1], and labels of a training step; see :meth:`DistortedDigits.train_batch`."""
        part = part_of(batch_size, step=step, seed=seed, rank=rank, world_size=world_size)
        if self.probability is None:
            index = shuffled(step, batch_size, seed, self.num_train)
        else:
            index = generator(TRAIN, step, seed).choice(self.num_train, batch_size, p=self.probability)
        return self._take(self.train, index[part], device)

    def test_set(self, *, device: torch.device | str = "cpu") -> tuple[Float[Tensor, "n c h w"], Int[Tensor, " n"]]:
        """Return all test images, in [0, 1], and their labels."""
        return self._take(self.test, np.arange(self.num_test), device)

    def plain(self, count: int) -> tuple[Float[Tensor, "n c h w"], Int[Tensor, " n"]]:
        """Return ``count`` test images: the first of each class, then the second of each, ..."""
        return self._take(self.test, first_of_classes(self.test.labels, count), "cpu")

    def statistics(self) -> tuple[float, float]:
        """Mean and standard deviation of all values of the training images, in [0, 1]."""
        counts = np.zeros(256, dtype=np.int64)
        for start in range(0, self.num_train, 4096):
            counts += np.bincount(self.train.images[start : start + 4096].reshape(-1), minlength=256)
        levels, share = np.arange(256) / 255, counts / counts.sum()
        mean = float(share @ levels)
        return mean, float(share @ (levels - mean) ** 2) ** 0.5

    def _take(self, split: Labelled, index: np.ndarray, device: torch.device | str) -> tuple[Tensor, Tensor]:
        # bytes travel to the device, floats do not; in memory the channels stay innermost, which convolutions like
        pixels = torch.from_numpy(np.ascontiguousarray(split.images[index])).to(device)
        return pixels.permute(0, 3, 1, 2) / 255, torch.from_numpy(split.labels[index]).to(device)


def _first(split: Labelled, limit: int | None) -> Labelled:
    if limit is None:
        return split
    index = np.sort(class_by_class(split.labels)[:limit])
    return Labelled(split.images[index], split.labels[index])


def _probability(labels: np.ndarray, names: Sequence[str], weights: Weights) -> np.ndarray | None:
    if weights is None:
        return None
    counts = np.bincount(labels, minlength=len(names))
    if weights == "balanced":
        each = 1 / np.maximum(counts, 1)
    elif isinstance(weights, Mapping):
        if unknown := [name for name in weights if str(name) not in names]:
            listed = ", ".join(names[:8])
            raise ValueError(f"LabelledImages: `class_weights` must name classes; got {unknown[0]!r}.\n  Known: {listed}.")
        given = {str(name): value for name, value in weights.items()}
        each = np.array([given.get(name, 1.0) for name in names], dtype=np.float64)
    else:
        raise ValueError(
            f"LabelledImages: `class_weights` must be 'balanced', a mapping from classes to numbers, or nothing; got {weights!r}."
        )
    total = (each * counts).sum()
    if not (np.isfinite(each).all() and (each >= 0).all() and total > 0):
        raise ValueError(f"LabelledImages: `class_weights` must be finite and at least 0, not all of them 0; got {weights!r}.")
    return each[labels] / total


def _check(name: str, split: Labelled, num_classes: int) -> None:
    images, labels = split
    fn = f"LabelledImages: `{name}`"
    if images.dtype != np.uint8:
        raise TypeError(f"{fn} must have uint8 images; got {images.dtype}.\n  Scale them to 0 .. 255 and round.")
    if images.ndim != 4 or images.shape[3] not in (1, 3) or 0 in images.shape:
        raise ValueError(f"{fn} must have images (N, H, W, C), at least one, with one or three channels; got {images.shape}.")
    if labels.shape != images.shape[:1]:
        raise ValueError(f"{fn} must have one label for each of its {len(images)} images; got {labels.shape}.")
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(f"{fn} must have whole labels from 0 to {num_classes - 1}; got {labels.dtype} {labels.min()} to {labels.max()}.")
