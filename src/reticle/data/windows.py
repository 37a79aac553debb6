"""What does a digit look like through a window that is not yet on it? Windows of all sizes, cut from images of digits among clutter."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ..sampling import warp
from .clutter import cut, draw_patches, paste
from .distorted import CHUNK, DATASETS, DistortedDigits
from .order import TEST_WINDOWS, WINDOWS, check_whole, generator, part_of, shuffled
from .split import Digits

RIM = 4  # of the digits' squares, in pixels: nothing but black
NEAR = 1.15  # times the side of a digit's square: the largest of the windows near it; those in place are on it
ON = 0.75  # share of the union of a window and a digit's square that their overlap must exceed for a window near it to be on it
DENSER = 2  # samples per pixel along each axis, averaged: as the locator's windows


class _Drawn(NamedTuple):
    """What chance says of a batch."""

    corner: np.ndarray
    """``(B, 2)``: of the digit's square on its image, (x, y)"""
    bare: np.ndarray
    """``(B,)``: whether there is no digit on the image"""
    empty: np.ndarray
    """``(B,)``: whether there is none in the window"""
    window: np.ndarray
    """``(B, 3)``: side and corner (x, y) of the window, in pixels"""
    patches: np.ndarray
    """``(B, count, 5)``: as from :func:`draw_patches`"""


class DigitWindows:
    """Endless training batches and one fixed test set of square windows, each cut from an image with a digit somewhere among clutter.

    A window holds all of the digit but for the black rim of its square, and lies within the image. The logarithm of its side is
    uniform, from that of the digit's square to the whole image; so is its place, as far as there is a choice. Some images have no digit:
    their windows are a class of their own, the last. So are windows that are ``near`` a digit and not on it.

    Args:
        digits: the digits.
        canvas: side of the images that windows are cut from, in pixels.
        clutter: number of patches on each image.
        empty: share of images without a digit.
        near: share of windows that are about as large as the digit's square, up to 1.15 of its side, and at most its side away from it
            along each axis, within the image. Such a window is on the digit only if its overlap with the square exceeds 0.75 of their
            union, whether it holds all of the digit or not. Without ``empty`` and ``near`` there is no last class.
    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(self, digits: DistortedDigits, *, canvas: int = 84, clutter: int = 16, empty: float = 0.0, near: float = 0.0) -> None:
        for name, value, least in (("canvas", canvas, digits.test.side), ("clutter", clutter, 0)):
            check_whole(name, value, least, "DigitWindows")
        for name, share in (("empty", empty), ("near", near)):
            if not isinstance(share, int | float) or not 0 <= share < 1:
                raise ValueError(f"DigitWindows: `{name}` must be a share from 0 to below 1; got {share!r}.")
        self.digits, self.canvas, self.clutter, self.empty, self.near = digits, canvas, clutter, empty, near
        self.num_classes = digits.num_classes + (empty > 0 or near > 0)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape ``(C, H, W)`` of one window: that of a digit's square."""
        return (1, self.digits.test.side, self.digits.test.side)

    @property
    def num_train(self) -> int:
        """Number of training digits; each epoch shows every one through another window."""
        return self.digits.num_train

    @property
    def num_test(self) -> int:
        """Number of test windows."""
        return self.digits.num_test

    def train_batch(
        self, step: int, batch_size: int, *, seed: int, rank: int = 0, world_size: int = 1, device: torch.device | str = "cpu"
    ) -> tuple[Float[Tensor, "b c h w"], Int[Tensor, " b"]]:
        """Return this process's windows, in [0, 1], and labels; the arguments are those of :meth:`DistortedDigits.train_batch`."""
        part = part_of(batch_size, step=step, seed=seed, rank=rank, world_size=world_size)
        index = shuffled(step, batch_size, seed, self.num_train)
        drawn = self._draw(generator(WINDOWS, step, seed), self.digits.train, index)
        return self._make(self.digits.train, index, drawn, part, device)

    def test_set(self, *, device: torch.device | str = "cpu") -> tuple[Float[Tensor, "n c h w"], Int[Tensor, " n"]]:
        """Return all test windows, in [0, 1], and their labels: the same at every call, computed anew."""
        index = np.arange(self.num_test)
        drawn = self._draw(generator(TEST_WINDOWS), self.digits.test, index)
        parts = [slice(start, start + CHUNK) for start in range(0, self.num_test, CHUNK)]
        made = [self._make(self.digits.test, index, drawn, part, device) for part in parts]
        images, labels = (torch.cat(pieces) for pieces in zip(*made, strict=True))
        return images, labels

    def _draw(self, rng: np.random.Generator, digits: Digits, index: np.ndarray) -> _Drawn:
        count, room = len(index), self.canvas - digits.side
        corner = rng.integers(0, room, (count, 2), endpoint=True)
        side = digits.side * (self.canvas / digits.side) ** rng.random((count, 1))
        # the digit but for its rim lies within the window, and the window within the image
        first = np.maximum(corner + digits.side - RIM - side, 0)
        last = np.minimum(corner + RIM, self.canvas - side)
        window = np.concatenate([side, first + rng.random((count, 2)) * np.maximum(last - first, 0)], axis=1)
        sizes = {"num_images": len(digits.labels), "side": digits.side, "canvas": self.canvas}
        bare, patches = rng.random(count) < self.empty, draw_patches(rng, index, self.clutter, **sizes)
        near = np.flatnonzero(rng.random(count) < self.near)
        window[near] = self._draw_near(rng, corner[near], digits.side)
        missed = np.zeros(count, dtype=bool)
        missed[near] = _overlap(window[near], corner[near], digits.side) <= ON
        return _Drawn(corner, bare, bare | missed, window, patches)

    def _draw_near(self, rng: np.random.Generator, corner: np.ndarray, side: int) -> np.ndarray:
        """Windows whose middle is anywhere within a digit's side of that of its square, or as near as the image allows."""
        count = len(corner)
        own = np.minimum(side * NEAR ** rng.random((count, 1)), self.canvas)
        middle = corner + side / 2 + side * rng.uniform(-1, 1, (count, 2))
        return np.concatenate([own, np.clip(middle - own / 2, 0, self.canvas - own)], axis=1)

    def _make(
        self, digits: Digits, index: np.ndarray, drawn: _Drawn, part: slice, device: torch.device | str
    ) -> tuple[Float[Tensor, "b c h w"], Int[Tensor, " b"]]:
        corner, bare, empty, window, patches = (torch.from_numpy(array[part]) for array in drawn)
        images = torch.zeros(len(corner), 1, self.canvas, self.canvas, device=device)
        for image, pixels, (x, y) in zip(images, digits.pixels(index[part], device), corner.tolist(), strict=True):
            image[:, y : y + digits.side, x : x + digits.side] = pixels
        images[bare.to(device)] = 0
        if self.clutter:
            images = paste(cut(digits.images, patches).to(device) / 255, patches.to(device), images)
        labels = digits.labels[torch.from_numpy(index[part])].masked_fill(empty, self.digits.num_classes)
        return self._look(images, window.float().to(device)), labels.to(device)

    def _look(self, images: Float[Tensor, "b c h w"], window: Float[Tensor, "b 3"]) -> Float[Tensor, "b c s s"]:
        """What each window shows, shrunk to a digit's square."""
        side, corner = window[:, :1] / self.canvas, window[:, 1:] / self.canvas
        matrix = torch.cat([torch.diag_embed(side.expand(-1, 2)), (2 * corner + side - 1)[..., None]], dim=2)
        out = self.input_shape[1] * DENSER
        return avg_pool2d(warp(images, matrix, (out, out)), DENSER)


def _overlap(window: np.ndarray, corner: np.ndarray, side: int) -> np.ndarray:
    """Intersection over union of windows and digits' squares."""
    own, first = window[:, :1], window[:, 1:]
    shared = np.clip(np.minimum(first + own, corner + side) - np.maximum(first, corner), 0, None).prod(axis=1)
    return shared / (own[:, 0] ** 2 + side**2 - shared)


@DATASETS.register("digit_windows")
def digit_windows(
    *,
    digits: str = "mnist",
    canvas: int = 84,
    clutter: int = 16,
    empty: float = 0.0,
    near: float = 0.0,
    limit: int | None = None,
    data_dir: Path | str | None = None,
) -> DigitWindows:
    """Windows of all sizes on digits among clutter: what an embedding sees that looks for digits.

    Args:
        digits: the data set that the digits come from: ``mnist``, or ``digits``, which needs no download.
        canvas, clutter, empty, near: as for :class:`DigitWindows`.
        limit, data_dir: as for that data set.
    """
    return DigitWindows(
        DATASETS[digits](distortion="none", limit=limit, data_dir=data_dir), canvas=canvas, clutter=clutter, empty=empty, near=near
    )
