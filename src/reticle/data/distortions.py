"""How were the digits distorted? A distortion is a family of warps and a law for its theta; the library's own warps do the rest.

Distances are in pixels of the image (a scale of 1 keeps its pixels), positions from its centre. In theta one unit is half the side of
the digit's square, whatever the canvas. Parameters are drawn for a whole batch at once, on the CPU and in float64, from the generator
given: never from the images' values, but for the place of their ink.
"""

from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Float
from numpy.random import Generator
from torch import Tensor

from ..grid import base_grid
from ..registry import Registry
from ..sampling import grid_sample
from ..transforms import AbstractTransform, Attention, Compose, Projective, Rigid, Similarity, ThinPlateSpline, Translation

DISTORTIONS: Registry[type["AbstractDistortion"]] = Registry("distortion")
CORNERS = np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])


class AbstractDistortion(ABC):
    """A random warp of square images onto a square canvas. A member gives ``transform`` and :meth:`draw`."""

    transform: AbstractTransform
    """The family of the warps, target to source, between points in units of half the side of the digit's square."""
    canvas: int = 42
    """Side of the canvas, unless the user names another."""
    clutter: int = 0
    """Number of clutter patches, unless the user names another."""

    @abstractmethod
    def draw(self, rng: Generator, ink: Float[np.ndarray, "b 4"], *, side: int, canvas: int) -> Float[np.ndarray, "b p"]:
        """Draw ``theta`` for each image.

        Args:
            rng: the only source of randomness.
            ink: boxes of the ink: centre (x, y) from the image's centre, then half its width and height, in pixels.
            side: of the images, in pixels.
            canvas: side of the canvas, in pixels; at least ``side``.
        """

    def apply(self, images: Float[Tensor, "b c s s"], theta: Float[Tensor, "b p"], *, canvas: int) -> Float[Tensor, "b c h w"]:
        """Warp each image by its row of ``theta`` onto a black canvas, on the device of the images."""
        points = base_grid((canvas, canvas), dtype=theta.dtype, device=images.device) * (canvas / images.shape[-1])
        return grid_sample(images, self.transform.to(images.device)(theta, points))


@DISTORTIONS.register("none")
class Plain(AbstractDistortion):
    """The digit's square in the middle of the canvas, by a whole number of pixels."""

    def __init__(self) -> None:
        self.transform = Translation()

    def draw(self, rng: Generator, ink: Float[np.ndarray, "b 4"], *, side: int, canvas: int) -> Float[np.ndarray, "b 2"]:
        middle = np.full((len(ink), 2), (canvas - side) // 2)
        return _corner_at(middle, side, canvas)


@DISTORTIONS.register("r")
class Rotated(AbstractDistortion):
    """R: turned by up to 90 degrees to either side."""

    def __init__(self) -> None:
        self.transform = Rigid()

    def draw(self, rng: Generator, ink: Float[np.ndarray, "b 4"], *, side: int, canvas: int) -> Float[np.ndarray, "b 3"]:
        angle = rng.uniform(-np.pi / 2, np.pi / 2, (len(ink), 1))
        return np.pad(angle, ((0, 0), (0, 2)))


@DISTORTIONS.register("rts")
class RotatedTranslatedScaled(AbstractDistortion):
    """RTS: turned by up to 45 degrees, scaled by 0.7 to 1.2, then put anywhere where all of the ink is on the canvas."""

    def __init__(self) -> None:
        self.transform = Similarity()

    def draw(self, rng: Generator, ink: Float[np.ndarray, "b 4"], *, side: int, canvas: int) -> Float[np.ndarray, "b 4"]:
        angle = rng.uniform(-np.pi / 4, np.pi / 4, len(ink))
        scale = rng.uniform(0.7, 1.2, len(ink))
        place = rng.uniform(-1, 1, (len(ink), 2))
        centre, half = ink[:, :2], ink[:, 2:]
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.array([[cos, -sin], [sin, cos]]).transpose(2, 0, 1)
        reach = scale[:, None] * (np.abs(turn) @ half[..., None])[..., 0]
        target = place * np.maximum(canvas / 2 - reach, 0)  # of the ink's centre
        shift = centre - (turn.swapaxes(1, 2) @ target[..., None])[..., 0] / scale[:, None]
        return np.column_stack([-angle, -np.log(scale), shift / (side / 2)])


@DISTORTIONS.register("p")
class Projected(AbstractDistortion):
    """P: scaled by 0.75 to 1, then each corner of the digit's square moved by N(0, 5 px).

    Corners that fold the square over, so that no camera could see it, are drawn again (about one in a hundred).
    """

    def __init__(self) -> None:
        self.transform = Projective()

    def draw(self, rng: Generator, ink: Float[np.ndarray, "b 4"], *, side: int, canvas: int) -> Float[np.ndarray, "b 8"]:
        scale = rng.uniform(0.75, 1, len(ink))
        theta = np.empty((len(ink), 8))
        todo = np.arange(len(ink))
        while len(todo):
            corners = scale[todo, None, None] * CORNERS + rng.normal(0, 5 / (side / 2), (len(todo), 4, 2))
            theta[todo] = homography(corners, CORNERS)
            behind = 1 + (corners @ theta[todo, 6:, None])[..., 0] <= 0
            todo = todo[behind.any(1)]
        return theta


@DISTORTIONS.register("e")
class Elastic(AbstractDistortion):
    """E: scaled by 0.75 to 1, then bent by a thin-plate spline: each of 4 x 4 points over the digit's square moved by N(0, 1.5 px)."""

    def __init__(self) -> None:
        self.transform = Compose(Attention(), ThinPlateSpline(lattice=(4, 4)))

    def draw(self, rng: Generator, ink: Float[np.ndarray, "b 4"], *, side: int, canvas: int) -> Float[np.ndarray, "b 35"]:
        scale = rng.uniform(0.75, 1, (len(ink), 1))
        bend = rng.normal(0, 1.5 / (side / 2), (len(ink), 32))
        return np.concatenate([-np.log(scale), np.zeros((len(ink), 2)), bend], axis=1)


@DISTORTIONS.register("tc")
class TranslatedCluttered(AbstractDistortion):
    """TC: put anywhere on a larger canvas, by whole pixels, among six patches of other digits."""

    canvas = 60
    clutter = 6

    def __init__(self) -> None:
        self.transform = Translation()

    def draw(self, rng: Generator, ink: Float[np.ndarray, "b 4"], *, side: int, canvas: int) -> Float[np.ndarray, "b 2"]:
        return _corner_at(rng.integers(0, canvas - side, (len(ink), 2), endpoint=True), side, canvas)


def homography(source: Float[np.ndarray, "b 4 2"], target: Float[np.ndarray, "4 2"]) -> Float[np.ndarray, "b 8"]:
    """The first eight entries of the homographies, ``h_33 = 1``, that take four ``source`` points to ``target`` points.

    Reference: Hartley & Zisserman 2004, sec. 4.1.
    """
    target = np.broadcast_to(target, source.shape)
    one, zero = np.ones_like(source[..., :1]), np.zeros_like(source)
    # w x' = (x, y, 1) h_1 with w = 1 + (x, y) h_3, and y' likewise: two linear equations a point
    first = np.concatenate([source, one, zero, zero[..., :1], -source * target[..., :1]], axis=-1)
    second = np.concatenate([zero, zero[..., :1], source, one, -source * target[..., 1:]], axis=-1)
    right = np.concatenate([target[..., :1], target[..., 1:]], axis=1)
    return np.linalg.solve(np.concatenate([first, second], axis=1), right)[..., 0]


def _corner_at(corner: np.ndarray, side: int, canvas: int) -> np.ndarray:
    """Theta of the translation that puts the upper left pixel of the image on pixel ``corner``, (x, y), of the canvas."""
    return ((canvas - side) / 2 - corner) / (side / 2)
