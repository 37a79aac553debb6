"""Which images does step n of a run see? Digits under a random distortion, a pure function of (seed, step)."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..registry import Registry
from .clutter import PATCH, cut, draw_patches, paste
from .distortions import DISTORTIONS
from .order import TEST, TRAIN, check_whole, first_of_classes, generator, part_of, shuffled
from .split import Digits, Split

DATASETS: Registry = Registry("data set")
CHUNK = 1000  # test images warped at a time, to bound the memory for their grids


class DistortedDigits:
    """Endless training batches and one fixed test set of digits, distorted on the fly on the device of the training.

    Nothing depends on what was drawn before, on the device, or on how many processes share a batch.

    Args:
        train, test: the digits; kept as bytes on the CPU.
        distortion: a name in ``DISTORTIONS``.
        canvas: side of the square images that come out, in pixels; the distortion's own if None.
        clutter: patches of other digits of the same split on each image; the distortion's own number if None.
        limit: keep only the first so many training and test digits.
        num_classes: labels are ``0 .. num_classes - 1``.
    Raises:
        ValueError: an argument or a split is wrong.
    """

    def __init__(
        self,
        train: Split,
        test: Split,
        *,
        distortion: str = "rts",
        canvas: int | None = None,
        clutter: int | None = None,
        limit: int | None = None,
        num_classes: int = 10,
    ) -> None:
        if limit is not None:
            check_whole("limit", limit, 1)
        self.train, self.test = (Digits(name, split, limit, num_classes) for name, split in (("train", train), ("test", test)))
        self.distortion = DISTORTIONS[distortion]()
        self.canvas = self.distortion.canvas if canvas is None else canvas
        self.clutter = self.distortion.clutter if clutter is None else clutter
        self.num_classes = num_classes
        self._check_sizes()

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape ``(C, H, W)`` of one image."""
        return (1, self.canvas, self.canvas)

    @property
    def num_train(self) -> int:
        """Number of training digits; each epoch distorts every one anew."""
        return len(self.train.labels)

    @property
    def num_test(self) -> int:
        """Number of test images."""
        return len(self.test.labels)

    def train_batch(
        self, step: int, batch_size: int, *, seed: int, rank: int = 0, world_size: int = 1, device: torch.device | str = "cpu"
    ) -> tuple[Float[Tensor, "b c h w"], Int[Tensor, " b"]]:
        """Return this process's images, in [0, 1], and labels of a training step.

        Args:
            step: number of the step, from 0.
            batch_size: of all processes together; a multiple of ``world_size``.
            seed: of the run.
            rank: which of the ``world_size`` consecutive parts of the batch to return.
            device: where the images are warped and returned.
        """
        part = part_of(batch_size, step=step, seed=seed, rank=rank, world_size=world_size)
        index = shuffled(step, batch_size, seed, self.num_train)
        rng = generator(TRAIN, step, seed)
        theta, patches = self._draw(rng, self.train, index)
        return self._make(self.train, index[part], theta[part], patches[part], device), self.train.labels[index[part]].to(device)

    def test_set(self, *, device: torch.device | str = "cpu") -> tuple[Float[Tensor, "n c h w"], Int[Tensor, " n"]]:
        """Return all test images, in [0, 1], and their labels: the same at every call, computed anew."""
        index = np.arange(self.num_test)
        theta, patches = self._draw(generator(TEST), self.test, index)
        parts = [slice(start, start + CHUNK) for start in range(0, self.num_test, CHUNK)]
        images = torch.cat([self._make(self.test, index[p], theta[p], patches[p], device) for p in parts])
        return images, self.test.labels.to(device)

    def plain(self, count: int) -> tuple[Float[Tensor, "n c h w"], Int[Tensor, " n"]]:
        """Return ``count`` test digits in the middle of the canvas, undistorted: the first of each class, then the second of each, ..."""
        index = first_of_classes(self.test.labels.numpy(), count)
        upright = DISTORTIONS["none"]()
        theta = upright.draw(generator(TEST), self.test.ink[index], side=self.test.side, canvas=self.canvas)
        images = upright.apply(self.test.pixels(index), torch.from_numpy(theta).float(), canvas=self.canvas)
        return images, self.test.labels[index]

    def _draw(self, rng: np.random.Generator, digits: Digits, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Theta and clutter patches of all images of a batch, whoever makes them."""
        theta = self.distortion.draw(rng, digits.ink[index], side=digits.side, canvas=self.canvas)
        sizes = {"num_images": len(digits.labels), "side": digits.side, "canvas": self.canvas}
        return theta, draw_patches(rng, index, self.clutter, **sizes)

    def _make(
        self, digits: Digits, index: np.ndarray, theta: np.ndarray, patches: np.ndarray, device: torch.device | str
    ) -> Float[Tensor, "b c h w"]:
        output = self.distortion.apply(digits.pixels(index, device), torch.from_numpy(theta).float().to(device), canvas=self.canvas)
        if not self.clutter:
            return output
        where = torch.from_numpy(patches)
        return paste(cut(digits.images, where).to(device) / 255, where.to(device), output)

    def _check_sizes(self) -> None:
        check_whole("canvas", self.canvas, 1)
        check_whole("clutter", self.clutter, 0)
        sides = {self.train.side, self.test.side}
        if len(sides) > 1:
            raise ValueError(f"DistortedDigits: `train` and `test` must have images of one size; got {sorted(sides)}.")
        if self.canvas < self.train.side:
            raise ValueError(f"DistortedDigits: `canvas` must be at least {self.train.side}, the side of the digits; got {self.canvas}.")
        fewest = min(self.num_train, self.num_test)
        if self.clutter and (fewest < 2 or self.train.side < PATCH):
            raise ValueError(
                f"DistortedDigits: `clutter` must be 0 unless there are other digits to take {PATCH} x {PATCH} patches from; got "
                f"{self.clutter} with {fewest} of side {self.train.side}.\n  Raise `limit` to 2 or more, or set clutter to 0."
            )
