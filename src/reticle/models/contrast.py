"""How is an image made independent of the light? One mean and deviation for all images; or the contrast of each neighbourhood."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..checks import check_finite, check_floating, check_numbers, check_positive_int
from ..grid import coordinate_dtype


class GlobalNorm(nn.Module):
    r"""Subtract one mean and divide by one standard deviation, both of the whole training set.

    .. math:: V = (U - \mu) / \sigma

    They are buffers, ``mean`` and ``std``, 0 and 1 until :meth:`set` is called: they are saved with the weights.

    >>> norm = GlobalNorm()
    >>> norm.set(0.5, 0.25)
    >>> norm(torch.tensor([0.0, 0.5, 1.0]))
    tensor([-2.,  0.,  2.])

    Reference: Moodstocks 2015 (global normalisation).
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))

    def set(self, mean: float, std: float) -> None:
        """Take ``mean`` and ``std`` from now on.

        Raises:
            ValueError: in the dtype of the buffers one of them is not finite, or ``std`` is not above 0, as of images that are all alike.
        """
        dtype = self.std.dtype
        check_finite("GlobalNorm", "mean", float(mean), dtype)
        check_finite("GlobalNorm", "std", float(std), dtype)
        if not torch.as_tensor(std, dtype=dtype) > 0:
            alike = "All pixels of the training images have the same value, or nearly so."
            raise ValueError(f"GlobalNorm: `std` must be above 0 in {dtype}; got {std!r}.\n  {alike}")
        self.mean.fill_(mean)
        self.std.fill_(std)

    def forward(self, x: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        """The normalised images, in the dtype of ``x`` if it is floating."""
        # in 16 bits the difference would be rounded before it is divided
        normalised = (x.to(coordinate_dtype(x.dtype)) - self.mean) / self.std
        return normalised.to(x.dtype) if x.is_floating_point() else normalised


class ContrastNorm(nn.Module):
    r"""Subtract the mean of each pixel's neighbourhood, then divide by the deviation there, over all channels jointly.

    .. math::
        V = U - m(U), \qquad W = V / \max(\sqrt{m(V^2)}, t), \qquad
        m(U)_{ij} = \frac{\sum_{pq} k_p k_q\, \overline{U}_{i+p, j+q}}{\sum_{pq} k_p k_q\, [(i+p, j+q)\ \text{inside}]}

    :math:`\overline{U}` is the mean over the channels. At the edges the part of the kernel that lies inside counts as the whole.
    Where the deviation is below the threshold ``t``, as on a plain background, ``t`` takes its place. Computed in float32 or wider, also
    under autocast.

    Args:
        kernel: the weights ``k`` along one axis, an odd number of them; a Gaussian over 7 pixels if None.
        threshold: ``t``.
    Raises:
        ValueError: the kernel has no middle or a sum of 0, or the threshold is not above 0 or not finite in float32; when called, ``x`` is
            no batch of images.
    Gradients:
        To ``x``, finite everywhere; no parameters.

    >>> edge = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).expand(1, 1, 4, 4)
    >>> ContrastNorm(kernel=(1, 1, 1))(edge)[0, 0, 0].round(decimals=3)  # at 1/3 below and above the mean, and beside: alike
    tensor([ 0.0000, -1.2250,  1.2250,  0.0000])

    Reference: Jarrett, Kavukcuoglu, Ranzato & LeCun 2009, sec. 2; Moodstocks 2015 (``SpatialContrastiveNormalization``).
    """

    kernel: Tensor

    def __init__(self, kernel: Sequence[float] | None = None, *, threshold: float = 1e-4) -> None:
        super().__init__()
        weights = gaussian_kernel(7) if kernel is None else kernel
        check_numbers("ContrastNorm", "kernel", weights)
        row = torch.as_tensor(weights, dtype=torch.float64)
        if row.ndim != 1 or row.numel() % 2 == 0 or not row.sum() > 0:
            raise ValueError(f"ContrastNorm: `kernel` must be an odd number of weights with a sum above 0; got {tuple(row.tolist())}.")
        check_finite("ContrastNorm", "threshold", threshold, torch.float32)
        if not threshold > 0:
            raise ValueError(f"ContrastNorm: `threshold` must be above 0; got {threshold!r}.")
        self.threshold = threshold
        # no weight to save: it follows from the arguments
        self.register_buffer("kernel", (row / row.sum()).float(), persistent=False)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The normalised images or feature maps."""
        check_floating("ContrastNorm", "x", x)
        if x.ndim != 4 or x.shape[1] == 0:
            raise ValueError(f"ContrastNorm: `x` must have shape (B, C, H, W) with at least one channel; got {tuple(x.shape)}.")
        # the threshold divides what rounding leaves of a plain ground: 16 bits would leave too much
        wide = x.to(coordinate_dtype(x.dtype))
        inside = self._smooth(wide.new_ones(1, 1, *x.shape[2:]))
        centred = wide - self._smooth(wide.mean(1, keepdim=True)) / inside
        variance = self._smooth(centred.square().mean(1, keepdim=True)) / inside
        # limited before the root, whose slope at 0 is infinite
        deviation = variance.clamp(min=torch.finfo(wide.dtype).tiny).sqrt().clamp(min=self.threshold)
        return (centred / deviation).to(x.dtype)

    def _smooth(self, x: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b 1 h w"]:
        # no convolution: autocast and TF32 would round its sums to 8 or 11 bits
        row, reach = self.kernel.to(x.dtype), self.kernel.numel() // 2
        for axis, sides in ((2, (0, 0, reach, reach)), (3, (reach, reach))):
            padded, size = F.pad(x, sides), x.shape[axis]
            x = (torch.stack([padded.narrow(axis, i, size) for i in range(len(row))], dim=-1) * row).sum(-1)
        return x

    def extra_repr(self) -> str:
        """What ``print(norm)`` shows."""
        return f"{self.kernel.numel()} pixels, threshold={self.threshold:g}"


def gaussian_kernel(size: int) -> tuple[float, ...]:
    """Weights of a Gaussian whose deviation is a quarter of its ``size`` in pixels, 1 in the middle, as Torch7's ``image.gaussian1D``.

    >>> [round(weight, 3) for weight in gaussian_kernel(3)]
    [0.411, 1.0, 0.411]
    """
    check_positive_int("gaussian_kernel", "size", size)
    distance = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    return tuple(torch.exp(-((distance / (size / 4)) ** 2) / 2).tolist())
