"""Thin-plate splines: the smoothest bend that takes a lattice of points where it is told."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..checks import check_number, check_size
from ..grid import base_grid
from .base import TRANSFORMS, AbstractTransform


@TRANSFORMS.register("tps")
class ThinPlateSpline(AbstractTransform):
    r"""Bookstein's thin-plate spline through a lattice of control points; ``theta`` holds their offsets ``(dx, dy)``.

    .. math:: x^s = x^t + a_0 + A x^t + \sum_k w_k\, U(|x^t - c_k|), \qquad U(r) = r^2 \log r^2

    The control points ``c_k`` lie on a regular lattice of the target with its corners at ±1, rows first; ``theta`` says how far the
    *source* image of each lies from it, in normalised units. The linear system depends on the lattice alone: it is solved once, here.

    Args:
        lattice: control points ``(rows, columns)``, at least 2 each; ``num_params = 2 * rows * columns``.
        regularisation: 0 interpolates the offsets exactly; larger values bend less and approach the affine fit
            (added to the diagonal of the system).

    >>> tps = ThinPlateSpline(lattice=(3, 3))
    >>> theta = torch.zeros(1, 9, 2)
    >>> theta[0, 5] = torch.tensor([0.1, 0.2])  # move the middle of the right edge, (1, 0)
    >>> tps(theta.flatten(1), torch.tensor([[1.0, 0.0], [0.5, 0.0]])).round(decimals=4)
    tensor([[[1.1000, 0.2000],
             [0.5492, 0.0984]]])

    Reference: Bookstein 1989; Jaderberg et al. 2015, sec. 3.2.
    """

    control: Tensor
    solution: Tensor

    def __init__(self, lattice: Sequence[int] = (4, 4), regularisation: float = 0.0) -> None:
        super().__init__()
        lattice = check_size("ThinPlateSpline", "lattice", lattice, 2)
        if min(lattice) < 2:
            raise ValueError(f"ThinPlateSpline: `lattice` must have at least 2 rows and 2 columns; got {lattice!r}.")
        check_number("ThinPlateSpline", "regularisation", regularisation)
        if regularisation < 0:
            raise ValueError(f"ThinPlateSpline: `regularisation` must be 0 or more; got {regularisation!r}.")
        self.lattice, self.regularisation = lattice, float(regularisation)
        control, solution = self._constants()
        self.num_params = 2 * len(control)
        # not persistent: constants of the family, not weights
        self.register_buffer("control", control, persistent=False)
        self.register_buffer("solution", solution, persistent=False)

    def identity(self) -> Float[Tensor, " p"]:
        return torch.zeros(self.num_params)

    def move(
        self, theta: Float[Tensor, "b p"], points: Float[Tensor, "#b n 2"], size: Sequence[int] | None = None
    ) -> Float[Tensor, "b n 2"]:
        features = _features(points, self.control.to(points.dtype))
        # in double, which autocast and TF32 leave alone; the products are small
        coefficients = self.solution.double() @ theta.double().unflatten(1, (-1, 2))
        return points + (features.double() @ coefficients).to(points.dtype)

    def extra_repr(self) -> str:
        return f"lattice={self.lattice}, regularisation={self.regularisation}, num_params={self.num_params}"

    def _constants(self) -> tuple[Float[Tensor, "m 2"], Float[Tensor, "m+3 m"]]:
        control = base_grid(self.lattice, align_corners=True, dtype=torch.float64).flatten(0, 1)
        return control, _solve(control, self.regularisation)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "ThinPlateSpline":
        """Follow the model to its device, but never to a narrower dtype: coordinates stay exact under ``.half()``."""
        control, solution = self.control, self.solution
        super()._apply(fn, recurse)
        if control.is_meta and not self.control.is_meta:  # there was nothing to follow
            control, solution = self._constants()
        self.control, self.solution = control.to(self.control.device), solution.to(self.solution.device)
        return self


def _solve(control: Float[Tensor, "m 2"], regularisation: float) -> Float[Tensor, "m+3 m"]:
    """The matrix that turns offsets at the control points into coefficients of :func:`_features`."""
    m = len(control)
    system = control.new_zeros(m + 3, m + 3)
    system[:m] = _features(control, control)
    system[:m, :m] += regularisation * torch.eye(m, dtype=control.dtype)
    system[m:, :m] = system[:m, m:].mT
    return torch.linalg.inv(system)[:, :m].contiguous()


def _features(points: Float[Tensor, "*n 2"], control: Float[Tensor, "m 2"]) -> Float[Tensor, "*n m+3"]:
    """Rows ``[U(|p - c_1|) .. U(|p - c_m|), 1, x, y]`` with ``U(r) = r^2 log r^2`` and ``U(0) = 0``."""
    r2 = (points[..., None, :] - control).square().sum(-1)
    u = r2 * torch.where(r2 > 0, r2, 1).log()  # log of 0 would spoil the gradient, though its product is 0
    return torch.cat([u, torch.ones_like(points[..., :1]), points], dim=-1)
