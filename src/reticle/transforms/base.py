"""What is a transform? A family of maps T_theta from target points to source points, both normalised to [-1, 1]."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..checks import check_device, check_floating, check_shape, check_size
from ..grid import coordinate_dtype, move_points
from ..registry import Registry

TRANSFORMS: Registry[type["AbstractTransform"]] = Registry("transform")


class AbstractTransform(ABC, nn.Module):
    """``source = transform(theta, target)``: a family of maps, one map per row of ``theta``.

    A member gives ``num_params``, :meth:`identity` and :meth:`move`, is final, and carries a worked example in its docstring.
    It is a module so that its constants move with ``.to(device)``; it has no parameters of its own.
    """

    num_params: int
    """Length P of ``theta``."""
    ndim: int = 2
    """Number of axes D of the points."""
    has_identity: bool = True
    """Whether the family contains the identity map; if not, :meth:`identity` is its plainest member."""

    @abstractmethod
    def identity(self) -> Float[Tensor, " p"]:
        """The ``theta`` at which a localiser starts: the identity map, exactly, where the family has one."""

    @abstractmethod
    def move(
        self, theta: Float[Tensor, "b p"], points: Float[Tensor, "#b n d"], size: Sequence[int] | None = None
    ) -> Float[Tensor, "b n d"]:
        """Map points that may differ from sample to sample; no checks. What a family of its own must give."""

    def forward(
        self, theta: Float[Tensor, "b p"], points: Float[Tensor, "*n d"], size: Sequence[int] | None = None
    ) -> Float[Tensor, "b *n d"]:
        """Map ``points``, shared by the batch, by each row of ``theta``.

        Args:
            theta: ``(B, P)``.
            points: normalised target points ``(*N, D)``; the last axis holds ``(x, y)`` or ``(x, y, z)``.
            size: lengths of the source axes, ``(H, W)`` or ``(D, H, W)``, in pixels: families that turn keep angles in pixels.
                ``None`` means all equal.
        Returns:
            Normalised source points ``(B, *N, D)``, in float32 or wider.
        Raises:
            ValueError: a shape is wrong, or the devices differ.
            TypeError: a dtype is not floating.
        Gradients:
            To ``theta`` and ``points``, of any order.
        """
        size = self._check(theta, size)
        name = type(self).__name__
        check_floating(name, "points", points)
        if points.ndim == 0 or points.shape[-1] != self.ndim:
            axes = ", ".join("xyz"[: self.ndim])
            raise ValueError(f"{name}: `points` must have shape (..., {self.ndim}), the last axis ({axes}); got {tuple(points.shape)}.")
        check_device(name, "theta", theta, "points", points)
        dtype = coordinate_dtype(theta.dtype, points.dtype)
        moved = self.move(theta.to(dtype), points.to(dtype).reshape(1, -1, self.ndim), size)
        return moved.reshape(moved.shape[0], *points.shape)

    def matrix(self, theta: Float[Tensor, "b p"], size: Sequence[int] | None = None) -> Float[Tensor, "b r c"]:
        """The homogeneous matrix of the map, target to source, normalised: ``(B, D, D+1)`` if affine, else ``(B, D+1, D+1)``.

        Raises:
            NotImplementedError: the family's maps are no matrices.
        """
        raise NotImplementedError(f"{type(self).__name__}: its maps have no matrix.\n  Call the transform on points instead.")

    def inverse(self, theta: Float[Tensor, "b p"], size: Sequence[int] | None = None) -> Float[Tensor, "b p"]:
        """The ``theta`` of the inverse map, source to target, of families that hold it; those of matrices do.

        Raises:
            NotImplementedError: the family holds no inverses.
        """
        fix = "If it has a matrix(), invert that: reticle.warp and reticle.apply_matrix take it."
        raise NotImplementedError(f"{type(self).__name__}: the inverses of its maps are not of the family.\n  {fix}")

    def _check(self, theta: Tensor, size: Sequence[int] | None) -> tuple[int, ...] | None:
        name = type(self).__name__
        check_shape(name, "theta", theta, "B P", P=self.num_params)
        check_floating(name, "theta", theta)
        return None if size is None else check_size(name, "size", size, self.ndim)

    def extra_repr(self) -> str:
        """What ``print(transform)`` shows."""
        return f"ndim={self.ndim}, num_params={self.num_params}"


class AbstractMatrixTransform(AbstractTransform):
    """A transform that is one homogeneous matrix per sample; members give :meth:`entries` and :meth:`inverted`."""

    @abstractmethod
    def entries(self, theta: Float[Tensor, "b p"], size: Sequence[int] | None) -> Float[Tensor, "b r c"]:
        """:meth:`matrix` without checks."""

    @abstractmethod
    def inverted(self, theta: Float[Tensor, "b p"], size: Sequence[int] | None) -> Float[Tensor, "b p"]:
        """:meth:`inverse` without checks."""

    def inverse(self, theta: Float[Tensor, "b p"], size: Sequence[int] | None = None) -> Float[Tensor, "b p"]:
        """The ``theta`` of the inverse map, in closed form: source to target, in float32 or wider.

        Args:
            theta: ``(B, P)``.
            size: lengths of the source axes, as in :meth:`forward`.
        Returns:
            ``(B, P)``.
        Raises:
            ValueError, TypeError: as :meth:`forward`.
            NotImplementedError: the family holds no inverses, as of a fixed scale.
            torch.linalg.LinAlgError: a matrix of a family that does not keep it invertible has none.
        Gradients:
            To ``theta``, of any order.
        """
        size = self._check(theta, size)
        return self.inverted(theta.to(coordinate_dtype(theta.dtype)), size)

    def matrix(self, theta: Float[Tensor, "b p"], size: Sequence[int] | None = None) -> Float[Tensor, "b r c"]:
        """The homogeneous matrix of the map; see :meth:`AbstractTransform.matrix`."""
        size = self._check(theta, size)
        return self.entries(theta.to(coordinate_dtype(theta.dtype)), size)

    def move(
        self, theta: Float[Tensor, "b p"], points: Float[Tensor, "#b n d"], size: Sequence[int] | None = None
    ) -> Float[Tensor, "b n d"]:
        """Map points by the matrix."""
        return move_points(self.entries(theta, size), points)


def check_ndim(name: str, ndim: int, allowed: tuple[int, ...] = (2, 3)) -> int:
    """Return ``ndim``, or raise ValueError unless the family exists in so many dimensions."""
    if ndim not in allowed:
        raise ValueError(f"{name}: `ndim` must be {' or '.join(map(str, allowed))}; got {ndim!r}.")
    return ndim


def positive(log_scale: Tensor) -> Tensor:
    """The scale ``e^log_scale``, kept within ``e^±30``: beyond, neither it nor its gradient would be of use, and both would overflow."""
    return log_scale.clamp(-30, 30).exp()


def join(linear: Float[Tensor, "b d d"], translation: Float[Tensor, "b d"]) -> Float[Tensor, "b d d+1"]:
    """The affine matrix ``[linear | translation]``."""
    return torch.cat([linear, translation[..., None]], dim=-1)
