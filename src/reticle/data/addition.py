"""Two digits to add: one in each channel, each distorted on its own."""

from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .distorted import DATASETS, DistortedDigits


class DigitSums:
    """Images of two channels with one digit in each; the label is their sum.

    Step n shows the digits of two steps of the set below it, 2 n in the first channel and 2 n + 1 in the second: an epoch of digits
    takes half as many steps. In the test set each image comes twice, once in either channel, with two others.

    Args:
        digits: where the digits come from, distorted as they shall be.
    """

    def __init__(self, digits: DistortedDigits) -> None:
        self.digits = digits
        self.num_classes = 2 * digits.num_classes - 1

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape ``(2, H, W)`` of one image."""
        return (2, self.digits.canvas, self.digits.canvas)

    @property
    def num_train(self) -> int:
        """Number of training digits."""
        return self.digits.num_train

    @property
    def num_test(self) -> int:
        """Number of test images: that of test digits."""
        return self.digits.num_test

    def train_batch(
        self, step: int, batch_size: int, *, seed: int, rank: int = 0, world_size: int = 1, device: torch.device | str = "cpu"
    ) -> tuple[Float[Tensor, "b 2 h w"], Int[Tensor, " b"]]:
        """Return this process's images, in [0, 1], and the sums; the arguments are those of :meth:`DistortedDigits.train_batch`."""
        part = {"seed": seed, "rank": rank, "world_size": world_size}
        first, second = (self.digits.train_batch(2 * step + channel, batch_size, **part, device=device) for channel in (0, 1))
        return torch.cat([first[0], second[0]], dim=1), first[1] + second[1]

    def test_set(self, *, device: torch.device | str = "cpu") -> tuple[Float[Tensor, "n 2 h w"], Int[Tensor, " n"]]:
        """Return all test images, in [0, 1], and their sums: the same at every call, computed anew."""
        images, labels = self.digits.test_set(device=device)
        return self._pair(images, labels)

    def plain(self, count: int) -> tuple[Float[Tensor, "n 2 h w"], Int[Tensor, " n"]]:
        """Return ``count`` pairs of undistorted test digits in the middle of the canvas."""
        return self._pair(*self.digits.plain(count))

    @staticmethod
    def _pair(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        # one after the other in a fixed order of chance: no digit beside itself
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0)).to(labels.device)
        other = order.roll(1)
        return torch.cat([images[order], images[other]], dim=1), labels[order] + labels[other]


@DATASETS.register("digit_sums")
def digit_sums(
    *,
    digits: str = "mnist",
    distortion: str = "rts",
    canvas: int | None = None,
    clutter: int | None = None,
    limit: int | None = None,
    data_dir: Path | str | None = None,
) -> DigitSums:
    """Two distorted digits, one in each channel, to be added: 19 classes.

    Args:
        digits: the data set that the digits come from: ``mnist``, or ``digits``, which needs no download.
        distortion, canvas, clutter, limit: as for :class:`DistortedDigits`.
        data_dir: as for that data set.

    Reference: Jaderberg et al. 2015, A.1.
    """
    how = {"distortion": distortion, "canvas": canvas, "clutter": clutter, "limit": limit, "data_dir": data_dir}
    return DigitSums(DATASETS[digits](**how))
