"""One digit of one class somewhere in each of a hundred images: where is what they have in common?"""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .clutter import cut, draw_patches, paste
from .distorted import DATASETS, DistortedDigits
from .order import PLACES, check_whole, generator, part_of, shuffled


class ColocatedDigits:
    """A fixed set of images, each with one digit of the same class anywhere on a black canvas, and the digits' boxes.

    The images to train on and to measure on are the same: what is sought is what *these* images have in common. The boxes are
    for measuring alone.

    Args:
        digits: where the digits come from: those to find are test digits, patches of clutter are cut from training digits.
        digit: the class.
        count: number of images; if there are fewer test digits of the class, they come again at other places.
        canvas: side of the square images, in pixels.
        clutter: number of patches on each image.
    Raises:
        ValueError: an argument is out of range, or there is no digit of the class.
    """

    def __init__(self, digits: DistortedDigits, *, digit: int, count: int = 100, canvas: int = 84, clutter: int = 0) -> None:
        for name, value, least in (("digit", digit, 0), ("count", count, 2), ("canvas", canvas, digits.test.side), ("clutter", clutter, 0)):
            check_whole(name, value, least, "ColocatedDigits")
        of_class = np.flatnonzero(digits.test.labels.numpy() == digit)
        if not len(of_class):
            known = sorted(set(digits.test.labels.tolist()))
            raise ValueError(f"ColocatedDigits: `digit` must be a class that has test digits, one of {known}; got {digit}.")
        side, rng = digits.test.side, generator(PLACES)
        corner = rng.integers(0, canvas - side, (count, 2), endpoint=True)  # (x, y)
        self.canvas = canvas
        self.boxes = torch.from_numpy(np.concatenate([corner, corner + side], axis=1)).float()
        self.images = torch.zeros(count, 1, canvas, canvas)
        found = digits.test.pixels(np.resize(of_class, count))
        for image, pixels, (x, y) in zip(self.images, found, corner, strict=True):
            image[:, y : y + side, x : x + side] = pixels
        if clutter:
            own = np.zeros(count, dtype=np.int64)
            sizes = {"num_images": digits.num_train, "side": side, "canvas": canvas}
            patches = torch.from_numpy(draw_patches(rng, own, clutter, **sizes))
            self.images = paste(cut(digits.train.images, patches) / 255, patches, self.images)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape ``(C, H, W)`` of one image."""
        return (1, self.canvas, self.canvas)

    @property
    def num_train(self) -> int:
        """Number of images."""
        return len(self.images)

    @property
    def num_test(self) -> int:
        """The same number: the images are the same."""
        return len(self.images)

    def train_batch(
        self, step: int, batch_size: int, *, seed: int, rank: int = 0, world_size: int = 1, device: torch.device | str = "cpu"
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b 4"]]:
        """Return this process's images, in [0, 1], and boxes; the arguments are those of :meth:`DistortedDigits.train_batch`."""
        part = part_of(batch_size, step=step, seed=seed, rank=rank, world_size=world_size)
        index = torch.from_numpy(shuffled(step, batch_size, seed, self.num_train)[part])
        return self.images[index].to(device), self.boxes[index].to(device)

    def test_set(self, *, device: torch.device | str = "cpu") -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "n 4"]]:
        """Return all images, in [0, 1], and the boxes ``(x_0, y_0, x_1, y_1)`` of the digits' 28×28 squares, in pixels from the edge."""
        return self.images.to(device), self.boxes.to(device)


@DATASETS.register("colocated_digits")
def colocated_digits(
    *,
    digit: int,
    digits: str = "mnist",
    count: int = 100,
    canvas: int = 84,
    clutter: int = 0,
    data_dir: Path | str | None = None,
) -> ColocatedDigits:
    """Images for co-localisation: one digit of one class on each, T of the paper, and TC with 16 patches of ``clutter``.

    Args:
        digit, count, canvas, clutter: as for :class:`ColocatedDigits`.
        digits: the data set that the digits come from: ``mnist``, or ``digits``, which needs no download.
        data_dir: as for that data set.

    Reference: Jaderberg et al. 2015, A.2.
    """
    source = DATASETS[digits](distortion="none", data_dir=data_dir)
    return ColocatedDigits(source, digit=digit, count=count, canvas=canvas, clutter=clutter)
