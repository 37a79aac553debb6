"""Where is it? A spatial transformer alone: what its window shows, and where on the image it lies.

Reference: Jaderberg et al. 2015, A.2.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..grid import norm_to_pixel
from .base import MODELS, transformer_of

CORNERS = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])


class Located(NamedTuple):
    """What was found: the ``window``, and its ``box`` ``(x_0, y_0, x_1, y_1)`` in pixels from the image's edge."""

    window: Float[Tensor, "b c h w"]
    box: Float[Tensor, "b 4"]


@MODELS.register("locator")
class Locator(nn.Module):
    """A spatial transformer whose window is the answer; it starts as the whole image.

    The localiser: convolution 9×9 with stride 4, max-pooling by 2, two hidden layers.

    Args:
        input_shape: ``(C, H, W)`` of an image, at least 17×17.
        window: side of the window that comes out, in pixels.
        filters: number of filters of the convolution.
        hidden: width of both hidden layers; the paper says 8.
        transform: a registered name, or ``{name: .., **arguments}``; the paper's is attention, scale and translation.
        antialias: as for :class:`reticle.SpatialTransformer`.
        start: ``theta`` at the start, if it shall not be the identity, the whole image.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        *,
        window: int = 28,
        filters: int = 8,
        hidden: int = 8,
        transform: str | Mapping[str, Any] = "attention",
        antialias: int = 1,
        start: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        channels, height, width = input_shape
        if min(height, width) < 17:
            raise ValueError(f"Locator: `input_shape` must be at least 17×17 pixels for its localiser; got {tuple(input_shape)}.")
        convolved = filters * ((height - 5) // 8) * ((width - 5) // 8)
        features = nn.Sequential(
            nn.Conv2d(channels, filters, 9, stride=4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(convolved, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
        )
        self.transformer = transformer_of(features, hidden, transform, {"output_size": (window, window), "antialias": antialias}, start)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Located:
        """The window and its box; for windows that are turned or bent, the box around their corners."""
        warp = self.transformer.warp(x)
        norm = self.transformer.transform(warp.theta, CORNERS.to(warp.theta), x.shape[2:])
        # the edge lies half a pixel before the first centre
        axes = [norm_to_pixel(axis, n) + 0.5 for axis, n in zip(norm.unbind(-1), reversed(x.shape[2:]), strict=True)]
        corners = torch.stack(axes, dim=-1)
        return Located(warp.output, torch.cat([corners.amin(1), corners.amax(1)], dim=1))
