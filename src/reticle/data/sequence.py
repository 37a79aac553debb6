"""Three digits side by side, up or down a slope, among clutter: what is there to read, from left to right?"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from .distorted import DATASETS, DistortedDigits
from .order import SEQUENCES, TEST_SEQUENCES, TRAIN_SEQUENCES, check_whole, generator, part_of, shuffled
from .split import Digits

LENGTH, SHIFT, SLOPE = 3, 8, 14  # digits; pixels that a sequence is shifted, and that a digit lies higher or lower than the one before
PATCHES, PATCH = 8, 9  # clutter
CHUNK = 1000  # test images made at a time


class Draw(NamedTuple):
    """What a batch shows: numbers of digits ``(B, 3)``, their corners (y, x) ``(B, 3, 2)``, patches ``(B, 8, 5)`` as ``draw`` says."""

    digit: np.ndarray
    corner: np.ndarray
    patch: np.ndarray


class DigitSequences:
    """Training batches, endless or of a fixed set, and one test set: three digits on 100×100 pixels, to be read from left to right.

    Digits are drawn with replacement and stand side by side. The first is at any height; each further one lies by the same number of
    pixels lower or higher, but on the canvas. Eight patches of other digits lie about; what they add is cut off at 1.
    Nothing depends on what was drawn before, on the device, or on how many processes share a batch.

    Args:
        digits: where the digits come from; patches are cut from training digits for both.
        num_test: number of test images; all of them are held in memory at once.
        num_images: number of training images, seen in another order in every epoch; ``None`` draws new ones for every step.
        canvas: side of the square images, in pixels.
    Raises:
        ValueError: an argument is out of range.
    """

    length = LENGTH

    def __init__(self, digits: DistortedDigits, *, num_test: int = 10_000, num_images: int | None = None, canvas: int = 100) -> None:
        check_whole("num_test", num_test, 1, "DigitSequences")
        if num_images is not None:
            check_whole("num_images", num_images, 1, "DigitSequences")
        check_whole("canvas", canvas, LENGTH * digits.train.side + 2 * SHIFT, "DigitSequences")
        self.train, self.test, self.num_classes = digits.train, digits.test, digits.num_classes
        self.num_test, self.canvas = num_test, canvas
        self.drawn = None if num_images is None else self._draw(generator(TRAIN_SEQUENCES), self.train, num_images)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape ``(C, H, W)`` of one image."""
        return (1, self.canvas, self.canvas)

    @property
    def num_train(self) -> int:
        """Number of training digits."""
        return len(self.train.labels)

    def train_batch(
        self, step: int, batch_size: int, *, seed: int, rank: int = 0, world_size: int = 1, device: torch.device | str = "cpu"
    ) -> tuple[Float[Tensor, "b c h w"], Int[Tensor, "b 3"]]:
        """Return this process's images, in [0, 1], and their digits; the arguments are those of :meth:`DistortedDigits.train_batch`."""
        part = part_of(batch_size, step=step, seed=seed, rank=rank, world_size=world_size)
        if self.drawn is None:
            drawn = self._draw(generator(SEQUENCES, step, seed), self.train, batch_size)
        else:
            index = shuffled(step, batch_size, seed, len(self.drawn.digit))
            drawn = Draw(*(array[index] for array in self.drawn))
        return self._make(self.train, drawn, part, device)

    def test_set(self, *, device: torch.device | str = "cpu") -> tuple[Float[Tensor, "n c h w"], Int[Tensor, "n 3"]]:
        """Return all test images, in [0, 1], and their digits: the same at every call, computed anew."""
        drawn = self._draw(generator(TEST_SEQUENCES), self.test, self.num_test)
        parts = [self._make(self.test, drawn, slice(start, start + CHUNK), device) for start in range(0, self.num_test, CHUNK)]
        images, labels = zip(*parts, strict=True)
        return torch.cat(images), torch.cat(labels)

    def _draw(self, rng: np.random.Generator, digits: Digits, count: int) -> Draw:
        side = digits.side
        digit = rng.integers(len(digits.labels), size=(count, LENGTH))
        order = np.arange(LENGTH)
        left = (self.canvas - LENGTH * side) // 2 + rng.integers(-SHIFT, SHIFT, (count, 1))
        height = rng.integers(self.canvas, size=(count, 1)) + order * rng.integers(-SLOPE, SLOPE, (count, 1))
        corner = np.stack([height.clip(0, self.canvas - side), left + order * side], axis=-1)
        # of which training digit, from where in it, to where on the canvas; the ends are left out as in the authors' script
        source = rng.integers(self.num_train, size=(count, PATCHES, 1))
        inside = rng.integers(0, self.train.side - PATCH, (count, PATCHES, 2))
        place = rng.integers(0, self.canvas - PATCH, (count, PATCHES, 2))
        return Draw(digit, corner, np.concatenate([source, inside, place], axis=-1))

    def _make(
        self, digits: Digits, drawn: Draw, part: slice, device: torch.device | str
    ) -> tuple[Float[Tensor, "b c h w"], Int[Tensor, "b 3"]]:
        digit, corner, patch = (torch.from_numpy(array[part]) for array in drawn)
        canvas = torch.zeros(2, len(digit), self.canvas, self.canvas, device=device)
        for index in range(LENGTH):
            _lay(canvas[0], digits.images[digit[:, index]], corner[:, index])
        for index in range(PATCHES):
            source, inside, place = patch[:, index].split([1, 2, 2], dim=1)
            y, x = _square(inside, PATCH)
            _lay(canvas[1], self.train.images[source[:, :, None], y, x], place)
        images = (canvas / 255).sum(0).clamp(max=1)
        return images[:, None], digits.labels[digit].to(device)


def _lay(canvas: Float[Tensor, "b h w"], pixels: Tensor, corner: Int[Tensor, "b 2"]) -> None:
    """Write squares of ``pixels`` ``(B, s, s)`` over the ``canvas``, their upper left pixels at ``corner`` (y, x)."""
    y, x = _square(corner, pixels.shape[-1])
    image = torch.arange(len(canvas))[:, None, None]
    canvas[image.to(canvas.device), y.to(canvas.device), x.to(canvas.device)] = pixels.to(canvas)


def _square(corner: Int[Tensor, "b 2"], side: int) -> tuple[Int[Tensor, "b s 1"], Int[Tensor, "b 1 s"]]:
    """The rows and columns of squares."""
    step = torch.arange(side)
    return corner[:, :1, None] + step[:, None], corner[:, 1:, None] + step


@DATASETS.register("digit_sequences")
def digit_sequences(
    *,
    digits: str = "mnist",
    num_test: int = 10_000,
    num_images: int | None = None,
    canvas: int = 100,
    limit: int | None = None,
    data_dir: Path | str | None = None,
) -> DigitSequences:
    """Cluttered sequences of three digits, as the authors' script makes them: there 60,000, here by default new ones for every step.

    Args:
        digits: the data set that the digits come from: ``mnist``, or ``digits``, which needs no download.
        num_test, num_images, canvas: as for :class:`DigitSequences`.
        limit: keep only the first so many training and test digits.
        data_dir: as for that data set.

    Reference: Sønderby et al. 2015, sec. 3.
    """
    return DigitSequences(
        DATASETS[digits](distortion="none", limit=limit, data_dir=data_dir), num_test=num_test, num_images=num_images, canvas=canvas
    )
