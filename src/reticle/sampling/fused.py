"""What does the input look like under a matrix? From matrix to output, the grid in between being nobody's business."""

from collections.abc import Sequence

from jaxtyping import Float, Shaped
from torch import Tensor

from ..checks import check_batch, check_bool, check_device, check_input, check_size
from ..grid import check_matrix, source_grid
from .backends import choose, make_spec
from .functional import make_fill
from .modes import Mode
from .output import check_out, compute
from .plain import sample_plainly


def warp(
    input: Shaped[Tensor, "#b c *size"],
    matrix: Float[Tensor, "#b r s"],
    output_size: Sequence[int] | None = None,
    mode: str | Mode = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
    *,
    value: float | Sequence[float] | Tensor = 0.0,
    backend: str = "auto",
    out: Tensor | None = None,
) -> Shaped[Tensor, "b c *out"]:
    r"""Resample ``input`` under a matrix: output point :math:`x^t` shows what the input has at :math:`x^s = A x^t`.

    Convention:
        - target to source, in normalised coordinates, with the same ``align_corners`` on both sides.
        - points behind the viewer (a projective denominator of 0 or below) are outside.
    Args:
        input: signals ``(B, C, W)``, images ``(B, C, H, W)`` or volumes ``(B, C, D, H, W)``, floating or uint8.
        matrix: ``(B, D, D+1)``, affine, or ``(B, D+1, D+1)``, projective: ``(B, 2, 3)`` or ``(B, 3, 3)`` for images. A batch of 1
            on either side serves all samples of the other.
        output_size: ``(W,)``, ``(H, W)`` or ``(D, H, W)``; the input's if None.
        mode, padding_mode, align_corners, value, backend, out: as for :func:`reticle.grid_sample`.
    Returns:
        ``(B, C, *output_size)``; dtype and device of ``input``.
    Raises:
        ValueError, TypeError, NotImplementedError: as :func:`reticle.grid_sample`.
    Gradients:
        To ``input`` and ``matrix``.

    >>> mirror = torch.tensor([[[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> warp(torch.arange(6.0).view(1, 1, 2, 3), mirror).round(decimals=4)
    tensor([[[[2., 1., 0.],
              [5., 4., 3.]]]])

    Reference: Jaderberg et al. 2015, sec. 3.2 and 3.3.
    """
    found = sample_plainly("warp", input, matrix, output_size, mode, padding_mode, align_corners, backend) if out is None else None
    if isinstance(found, Tensor):
        return found
    fn = "reticle.warp"
    check_input(fn, input, whole=True)
    size = input.shape[2:]
    check_matrix(fn, matrix, len(size), input)
    check_device(fn, "input", input, "matrix", matrix)
    check_batch(fn, "input", input, "matrix", matrix)
    output_size = tuple(size) if output_size is None else check_size(fn, "output_size", output_size, len(size))
    check_bool(fn, "align_corners", align_corners)
    fill = make_fill(fn, value, padding_mode, input)
    chosen = choose(fn, make_spec(input, mode, padding_mode, align_corners, fill), backend)
    if out is not None:
        batch = matrix.shape[0] if input.shape[0] == 1 else input.shape[0]
        check_out(fn, out, (batch, input.shape[1], *output_size), mode, {"input": input, "matrix": matrix, "value": fill})
    if found is not None:
        raise found  # the arguments are not to blame
    if chosen.warp is not None:
        return compute(chosen, chosen.warp, (input, matrix, output_size, mode, padding_mode, align_corners, fill), out)
    grid = source_grid(matrix, output_size, align_corners)
    return compute(chosen, chosen.run, (input, grid, mode, padding_mode, align_corners, fill), out)
