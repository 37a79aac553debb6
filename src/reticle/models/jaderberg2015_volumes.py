"""The networks of the experiment in 3-D: a volume summed along its depth, as it is or after a transformer has turned it.

Reference: Jaderberg et al. 2015, A.3.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from .base import MODELS, output_shape, transformer_of, width_of
from .jaderberg2015 import CNN

Shape = tuple[int, int, int, int]
LOOK = 14  # about the side, in voxels, of the volume that the localiser looks at


@MODELS.register("volume_cnn")
class VolumeCNN(nn.Module):
    """A :class:`CNN` that sees the sum of a volume along its depth.

    Args:
        input_shape: ``(C, D, H, W)`` of a volume, at least 24×24 across.
        num_classes: number of logits.
        filters: number of filters of the CNN's layers.
        hidden: width of the CNN's hidden layer, if it shall have one.
    """

    def __init__(self, input_shape: Sequence[int], num_classes: int = 10, *, filters: int = 32, hidden: int | None = None) -> None:
        super().__init__()
        channels, _, height, width = input_shape
        self.classifier = CNN((channels, height, width), num_classes, filters=filters, hidden=hidden)

    def forward(self, x: Float[Tensor, "b c d h w"]) -> Float[Tensor, "b k"]:
        """Logits."""
        return self.classifier(flattened(x))


@MODELS.register("st_volume_cnn")
class STVolumeCNN(nn.Module):
    r"""A :class:`VolumeCNN` behind a spatial transformer: a projection of the volume that is learnt.

    .. math:: W_{nm}^c = \sum_l^D V_{nml}^c

    The localiser: average over cubes, so that about 14 voxels a side are left, convolution 5×5×5, max-pooling by 2, convolution
    3×3×3, 32 units.

    Args:
        input_shape: ``(C, D, H, W)`` of a volume, at least 14 voxels deep and 24×24 across.
        num_classes: number of logits.
        filters: number of filters of the CNN's layers.
        hidden: width of the CNN's hidden layer, if it shall have one.
        localizer_filters: number of filters of the localiser's convolutions.
        transform: a registered name of a family in 3-D, or ``{name: .., ndim: 3, **arguments}``.
        sampler: further arguments of :class:`reticle.SpatialTransformer`: output_size, antialias, align_corners, mode, ...
    """

    def __init__(
        self,
        input_shape: Shape,
        num_classes: int = 10,
        *,
        filters: int = 32,
        hidden: int | None = None,
        localizer_filters: int = 16,
        transform: str | Mapping[str, Any] = "affine",
        sampler: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if min(input_shape[1:]) < LOOK:
            raise ValueError(f"STVolumeCNN: `input_shape` must be at least {LOOK} voxels along each side; got {tuple(input_shape)}.")
        family = {"name": transform, "ndim": 3} if isinstance(transform, str) else transform
        self.transformer = transformer_of(*_features(input_shape, localizer_filters), family, sampler)
        self.classifier = VolumeCNN(output_shape(self.transformer, input_shape), num_classes, filters=filters, hidden=hidden)

    def forward(self, x: Float[Tensor, "b c d h w"]) -> Float[Tensor, "b k"]:
        """Logits of the projection that the transformer chooses."""
        return self.classifier(self.transformer(x))


def flattened(volume: Float[Tensor, "b c d h w"]) -> Float[Tensor, "b c h w"]:
    """The sum along the depth: what the 2-D network sees."""
    return volume.sum(2)


def _features(input_shape: Shape, filters: int) -> tuple[nn.Module, int]:
    """The hidden layers of the localiser, and how many units the last has."""
    convolutions = nn.Sequential(
        nn.AvgPool3d(round(min(input_shape[1:]) / LOOK)),
        nn.Conv3d(input_shape[0], filters, 5),
        nn.MaxPool3d(2),
        nn.ReLU(),
        nn.Conv3d(filters, 2 * filters, 3),
        nn.ReLU(),
        nn.Flatten(),
    )
    return nn.Sequential(convolutions, nn.Linear(width_of(convolutions, input_shape), 32), nn.ReLU()), 32
