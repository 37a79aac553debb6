"""Where on the input lies the window that a transformer samples? Geometry only, in pixels of the input."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..grid import norm_to_pixel


def window_pixels(grid: Float[Tensor, "*b h w 2"], size: tuple[int, int], *, align_corners: bool = False) -> Float[Tensor, "*b h+2 w+2 2"]:
    """Map a sampling grid to the input's pixels, where 0 is the outer *edge* of the first pixel and ``size`` that of the last.

    The grid grows by the borders of the output: the first and last row and column are the outline of the window.
    """
    height, width = size
    x, y = _with_borders(grid.detach().float().cpu()).unbind(-1)
    x, y = (torch.as_tensor(norm_to_pixel(axis, length, align_corners=align_corners)) for axis, length in ((x, width), (y, height)))
    return torch.stack([x, y], -1) + 0.5


def _with_borders(grid: Tensor) -> Tensor:
    # the grid holds the centres of the output's pixels; its borders lie half a pixel farther out
    for axis in (-3, -2):
        first, last = grid.narrow(axis, 0, 1), grid.narrow(axis, -1, 1)
        second, before_last = grid.narrow(axis, min(1, grid.shape[axis] - 1), 1), grid.narrow(axis, max(-2, -grid.shape[axis]), 1)
        grid = torch.cat([first + (first - second) / 2, grid, last + (last - before_last) / 2], axis)
    return grid


def outline(window: Float[Tensor, "h w 2"]) -> Float[Tensor, "n 2"]:
    """Walk once round the border of a window, clockwise on the output, from its top left corner back to it."""
    return torch.cat([window[0, :-1], window[:-1, -1], window[-1].flip(0)[:-1], window[:, 0].flip(0)])


def corners(window: Float[Tensor, "h w 2"]) -> Float[Tensor, "4 2"]:
    """Return where the output's corners lie: top left, top right, bottom right, bottom left."""
    return torch.stack([window[0, 0], window[0, -1], window[-1, -1], window[-1, 0]])


def inner_lines(window: Float[Tensor, "h w 2"], count: int) -> list[Float[Tensor, "n 2"]]:
    """Return where ``count`` rows and ``count`` columns of the output lie, evenly spaced."""
    rows, columns = (torch.linspace(0, length - 1, count + 2)[1:-1].round().int().tolist() for length in window.shape[:2])
    return [window[row] for row in rows] + [window[:, column] for column in columns]


def is_bent(grid: Float[Tensor, "*b h w 2"], *, tolerance: float = 0.01) -> bool:
    """Tell whether any grid differs from an affine map by more than ``tolerance``, in normalised coordinates.

    Lines inside a bent window say something; inside an affine one they would repeat its outline.
    """
    grid = torch.nan_to_num(grid.detach().float().cpu(), nan=0.0, posinf=0.0, neginf=0.0)
    height, width = grid.shape[-3:-1]
    down, right = torch.linspace(0, 1, height)[:, None, None], torch.linspace(0, 1, width)[:, None]
    top_left, top_right, bottom_left = grid[..., :1, :1, :], grid[..., :1, -1:, :], grid[..., -1:, :1, :]
    flat = top_left + down * (bottom_left - top_left) + right * (top_right - top_left)
    return bool(((grid - flat).abs() > tolerance).any())


def overshoot(window: Float[Tensor, "*b h w 2"], size: tuple[int, int]) -> float:
    """Return how far the farthest finite point of ``window`` lies outside the input, as a share of the input's longer side."""
    beyond = torch.maximum(-window, window - torch.tensor([size[1], size[0]])).amax(-1)
    beyond = beyond[torch.isfinite(beyond)]
    return max(0.0, beyond.max().item() / max(size)) if beyond.numel() else 0.0
