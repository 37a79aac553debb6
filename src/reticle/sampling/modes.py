"""How much does each pixel count? Sampling kernels k(d; Phi) of the signed distance from a pixel to the point."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..checks import check_positive_int, check_tensor
from ..registry import Registry

MODES: Registry["Mode"] = Registry("mode")


class Mode(nn.Module):
    r"""A separable sampling kernel: weights ``phi(d)`` of the pixels around a point, ``d`` = point minus pixel, in pixels.

    .. math:: V_i^c = \sum_n \sum_m U_{nm}^c\, k(x_i - m; \Phi_x)\, k(y_i - n; \Phi_y)

    Pass one as ``mode`` to use a kernel of your own. If ``phi`` is a module, its parameters are learned with the rest; such a mode
    runs on the reference backend.

    Args:
        phi: weight of a pixel by its signed distance, elementwise, smooth enough for the derivatives that you need.
        support: number of pixels per axis that count: those with ``-support / 2 <= d < support / 2``.
        normalise: divide the weights of a point by their sum, so that a constant image stays constant.
        exact_degree: polynomials up to this degree are reproduced; -1: not even constants. A claim that
            :func:`reticle.testing.check_mode` tests.
    Raises:
        ValueError: ``support`` is no count; when called, ``phi`` answers in another shape.
        TypeError: ``phi`` cannot be called; when called, it does not answer with a tensor.

    >>> box = Mode(lambda d: torch.ones_like(d) / 2, support=2, exact_degree=0)  # the mean of the two nearest pixels
    >>> box.weights(torch.tensor([[0.25, -0.75]]))
    tensor([[0.5000, 0.5000]])

    Reference: Jaderberg et al. 2015, eq. (3).
    """

    def __init__(self, phi: Callable[[Tensor], Tensor], support: int, *, normalise: bool = False, exact_degree: int = -1) -> None:
        super().__init__()
        if not callable(phi):
            raise TypeError(f"Mode: `phi` must be a function or module of the distance; got {type(phi).__name__}.")
        check_positive_int("Mode", "support", support)
        self.phi, self.support, self.normalise, self.exact_degree = phi, support, normalise, exact_degree

    def weights(self, distance: Tensor) -> Tensor:
        """Weights of the pixels at ``distance (..., support)``, normalised over the last axis if the mode says so."""
        w = self.phi(distance)
        check_tensor("Mode", "phi(d)", w)
        if w.shape != distance.shape:
            want = f"the shape of d, {tuple(distance.shape)}"
            raise ValueError(f"Mode: `phi(d)` must have {want}; got {tuple(w.shape)}.\n  It gives each pixel its weight, elementwise.")
        if not self.normalise:
            return w
        total = w.sum(-1, keepdim=True)
        return w / torch.where(total == 0, 1, total)  # a kernel may be narrower than the gap between two pixels

    def forward(self, distance: Tensor) -> Tensor:
        """The same as :meth:`weights`."""
        return self.weights(distance)

    def extra_repr(self) -> str:
        """What ``print(mode)`` shows."""
        return f"{getattr(self.phi, '__name__', 'phi')}, support={self.support}, normalise={self.normalise}"


def mode(name: str, *, support: int, exact_degree: int, normalise: bool = False) -> Callable[[Callable], Callable]:
    """Register ``phi`` under ``name``. Every backend that lacks it falls through to the reference, which has all."""

    def add(phi: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        MODES.register(name)(Mode(phi, support, normalise=normalise, exact_degree=exact_degree))
        return phi

    return add


def find_mode(mode: "str | Mode") -> Mode:
    """The mode of that name, or the one given."""
    if not isinstance(mode, str | Mode):
        raise TypeError(f"`mode` must be a name in MODES or a Mode; got {type(mode).__name__}.")
    return mode if isinstance(mode, Mode) else MODES[mode]


@mode("nearest", support=1, exact_degree=0)
def nearest(d: Tensor) -> Tensor:
    """1 for the pixel floor(x + 0.5); its gradient to the grid is zero (not absent). Jaderberg et al. 2015, eq. (4)."""
    return 1 + 0 * d


@mode("bilinear", support=2, exact_degree=1)
def bilinear(d: Tensor) -> Tensor:
    """``max(0, 1 - |d|)``. Jaderberg et al. 2015, eq. (5)."""
    # not 1 - |d|: the slope of |d| at 0 is 0, which would lose half of the derivative on pixel centres
    return torch.where(d < 0, 1 + d, 1 - d)


@mode("bicubic", support=4, exact_degree=0)
def bicubic(d: Tensor) -> Tensor:
    """Keys 1981 with ``a = -0.75``, as ``torch.nn.functional.grid_sample``."""
    a = -0.75
    d = d.abs()
    inner = ((a + 2) * d - (a + 3)) * d * d + 1
    outer = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return torch.where(d <= 1, inner, outer)


@mode("bspline3", support=4, exact_degree=1)
def bspline3(d: Tensor) -> Tensor:
    """Cubic B-spline: twice smooth; blurs unless the image went through ``prefilter``. Unser 1999."""
    d = d.abs()
    return torch.where(d <= 1, 2 / 3 - d * d * (1 - d / 2), (2 - d) ** 3 / 6)


@mode("lanczos3", support=6, exact_degree=0, normalise=True)
def lanczos3(d: Tensor) -> Tensor:
    """Windowed sinc, six pixels, normalised (raw, its weights sum to 1 only within 1 %). Duchon 1979."""
    return _sinc(d) * _sinc(d / 3)


@mode("gaussian", support=6, exact_degree=0, normalise=True)
def gaussian(d: Tensor) -> Tensor:
    """Gaussian of standard deviation half a pixel, normalised. Gregor et al. 2015."""
    return torch.exp(-2 * d * d)


def _sinc(d: Tensor) -> Tensor:
    """sin(pi d) / (pi d), with all derivatives right at 0 too, where torch.sinc's second one is lost."""
    x = torch.pi * d
    near = x.abs() < 0.02  # the series errs by less than 1e-16 there
    safe = torch.where(near, 1, x)
    x2 = x * x
    return torch.where(near, 1 - x2 / 6 * (1 - x2 / 20 * (1 - x2 / 42)), safe.sin() / safe)
