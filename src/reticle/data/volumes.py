"""Digits as solid bodies: extruded in depth, turned in space and put anywhere into a volume."""

import math
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..sampling import warp
from ..transforms import Rigid
from .distorted import DATASETS, DistortedDigits
from .order import POSES, TEST_POSES, generator
from .split import ink_boxes

MNIST_SIDE = 28
CHUNK = 250  # test volumes warped at a time, to bound the memory for them


class DigitVolumes:
    """Endless training batches and one fixed test set of solid digits in volumes, made on the device of the training.

    A digit's pixels are repeated along the depth. The body is turned in its plane, then tilted towards a direction of chance, and put
    anywhere where all of its ink is in the volume. Nothing depends on what was drawn before, or on how many processes share a batch.

    Args:
        digits: upright digits, without distortion and clutter; their canvas is the digit's square.
        side: of the volume, in voxels.
        scale: voxels per pixel of the digit; ``side / 42`` if None: as large in the volume as in the images of 42×42.
        thickness: length of the body along its depth, in pixels of the digit.
        turn: largest angle to either side in the digit's plane, in degrees.
        tilt: largest angle between the digit's depth and the volume's, in degrees.
        test_limit: make only the first so many test volumes: all are held in memory at once.
    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        digits: DistortedDigits,
        *,
        side: int = 60,
        scale: float | None = None,
        thickness: int = 10,
        turn: float = 45.0,
        tilt: float = 60.0,
        test_limit: int | None = 2000,
    ) -> None:
        for name, value in (("side", side), ("thickness", thickness), ("test_limit", 1 if test_limit is None else test_limit)):
            _check_positive(name, value, whole=True)
        self.digits, self.num_classes = digits, digits.num_classes
        self.side, self.thickness = side, thickness
        self.scale = side / 42 if scale is None else scale
        self.num_test = digits.num_test if test_limit is None else min(test_limit, digits.num_test)
        self.turn, self.tilt = math.radians(turn), math.radians(tilt)
        _check_positive("scale", self.scale, whole=False)
        for name, angle in (("turn", turn), ("tilt", tilt)):
            if not 0 <= angle <= 180:
                raise ValueError(f"DigitVolumes: `{name}` must be an angle of 0 to 180 degrees; got {angle}.")

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """Shape ``(C, D, H, W)`` of one volume."""
        return (1, self.side, self.side, self.side)

    @property
    def num_train(self) -> int:
        """Number of training digits; each epoch puts every one into another pose."""
        return self.digits.num_train

    def train_batch(
        self, step: int, batch_size: int, *, seed: int, rank: int = 0, world_size: int = 1, device: torch.device | str = "cpu"
    ) -> tuple[Float[Tensor, "b c d h w"], Int[Tensor, " b"]]:
        """Return this process's volumes, in [0, 1], and labels; the arguments are those of :meth:`DistortedDigits.train_batch`."""
        images, labels = self.digits.train_batch(step, batch_size, seed=seed, rank=rank, world_size=world_size, device=device)
        first = rank * len(labels)
        chance = generator(POSES, step, seed).random((batch_size, 6))[first : first + len(labels)]
        return self._make(images, chance), labels

    def test_set(self, *, device: torch.device | str = "cpu") -> tuple[Float[Tensor, "n c d h w"], Int[Tensor, " n"]]:
        """Return all test volumes, in [0, 1], and their labels: the same at every call, computed anew."""
        images, labels = (x[: self.num_test] for x in self.digits.test_set(device=device))
        chance = generator(TEST_POSES).random((len(labels), 6))
        starts = range(0, len(labels), CHUNK)
        return torch.cat([self._make(images[i : i + CHUNK], chance[i : i + CHUNK]) for i in starts]), labels

    def _make(self, images: Float[Tensor, "b c s s"], chance: Float[np.ndarray, "b 6"]) -> Float[Tensor, "b c d h w"]:
        """The bodies of ``images`` in the poses that ``chance`` says."""
        bodies = images[:, :, None].expand(-1, -1, self.thickness, -1, -1)
        matrix = self.pose(chance, ink_boxes(images[:, 0].cpu().numpy()), images.shape[-1])
        return warp(bodies, matrix.float().to(images.device), (self.side,) * 3)

    def pose(self, chance: Float[np.ndarray, "b 6"], ink: Float[np.ndarray, "b 4"], square: int) -> Float[Tensor, "b 3 4"]:
        """The matrices, volume to body, in normalised coordinates.

        Args:
            chance: numbers from 0 to 1: for turn, tilt, its direction, and the place along x, y and z.
            ink: boxes of the ink, as for :meth:`AbstractDistortion.draw`.
            square: side of the digits' images, in pixels.
        """
        rotation = self._rotation(chance)
        flat = np.zeros((len(ink), 1))
        centre, half = np.hstack([ink[:, :2], flat]), np.hstack([ink[:, 2:], flat + self.thickness / 2])
        reach = self.scale * (np.abs(rotation) @ half[..., None])[..., 0]
        place = (2 * chance[:, 3:] - 1) * np.maximum(self.side / 2 - reach, 0)
        back = rotation.swapaxes(1, 2) / self.scale
        shift = centre[..., None] - back @ place[..., None]
        # from voxels and pixels to halves of the volume's and the body's sides
        body = np.array([square, square, self.thickness])[:, None] / 2
        return torch.from_numpy(np.concatenate([back * (self.side / 2), shift], axis=2) / body)

    def _rotation(self, chance: Float[np.ndarray, "b 6"]) -> Float[np.ndarray, "b 3 3"]:
        """First the turn in the digit's plane, then the tilt about an axis in that plane."""
        turn, tilt, direction = self.turn * (2 * chance[:, 0] - 1), self.tilt * chance[:, 1], 2 * np.pi * chance[:, 2]
        zero = np.zeros_like(turn)
        about = [np.stack([zero, zero, turn], axis=1), np.stack([tilt * np.cos(direction), tilt * np.sin(direction), zero], axis=1)]
        first, then = (Rigid(ndim=3).matrix(torch.from_numpy(np.pad(vector, ((0, 0), (0, 3)))))[:, :, :3].numpy() for vector in about)
        return then @ first


@DATASETS.register("digit_volumes")
def digit_volumes(
    *,
    digits: str = "mnist",
    side: int = 60,
    scale: float | None = None,
    thickness: int = 10,
    turn: float = 45.0,
    tilt: float = 60.0,
    limit: int | None = None,
    test_limit: int | None = 2000,
    data_dir: Path | str | None = None,
) -> DigitVolumes:
    """Digits as bodies, turned in space, anywhere in a volume.

    Args:
        digits: the data set that the digits come from: ``mnist``, or ``digits``, which needs no download.
        side, scale, thickness, turn, tilt, test_limit: as for :class:`DigitVolumes`.
        limit: keep only the first so many training and test digits.
        data_dir: as for that data set.

    Reference: Jaderberg et al. 2015, A.3.
    """
    flat = DATASETS[digits](distortion="none", canvas=MNIST_SIDE, clutter=0, limit=limit, data_dir=data_dir)
    return DigitVolumes(flat, side=side, scale=scale, thickness=thickness, turn=turn, tilt=tilt, test_limit=test_limit)


def _check_positive(name: str, value: object, *, whole: bool) -> None:
    kinds = (int,) if whole else (int, float)
    if not isinstance(value, kinds) or isinstance(value, bool) or not 0 < value < math.inf:
        raise ValueError(f"DigitVolumes: `{name}` must be a {'whole' if whole else 'finite'} number above 0; got {value!r}.")
