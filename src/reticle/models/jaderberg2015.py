"""The networks of the MNIST experiments: FCN, CNN, and each behind a spatial transformer or several.

Reference: Jaderberg et al. 2015, sec. 4.1, A.1 and A.4.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from ..checks import check_positive_int
from ..modules import ParallelTransformers
from .base import MODELS, output_shape, transformer_of, width_of

Shape = tuple[int, int, int]


@MODELS.register("fcn")
class FCN(nn.Module):
    """Fully connected: two hidden layers and a classifier.

    Args:
        input_shape: ``(C, H, W)`` of an image.
        num_classes: number of logits.
        hidden: width of both hidden layers; the paper says 128 to 256 (200 makes 395,000 parameters on 42×42).
    """

    def __init__(self, input_shape: Sequence[int], num_classes: int = 10, *, hidden: int = 200) -> None:
        super().__init__()
        channels, height, width = input_shape
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * height * width, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Logits."""
        return self.classifier(x)


@MODELS.register("cnn")
class CNN(nn.Module):
    """Convolutional: 9×9 and 7×7 convolutions without padding, each with max-pooling by 2, and a classifier.

    Args:
        input_shape: ``(C, H, W)`` of an image, at least 24×24.
        num_classes: number of logits.
        filters: number of filters of both layers; the paper says 32 to 64.
        hidden: width of a hidden layer before the classifier; none if None, as in the paper.
    """

    def __init__(self, input_shape: Sequence[int], num_classes: int = 10, *, filters: int = 32, hidden: int | None = None) -> None:
        super().__init__()
        # pooling before the rectifier: the same function for a quarter of the rectifier's work
        features = nn.Sequential(
            nn.Conv2d(input_shape[0], filters, 9),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(filters, filters, 7),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
        )
        _check_side("CNN", input_shape, 24, "two layers")
        width = width_of(features, input_shape)
        between = [] if hidden is None else [nn.Linear(width, hidden), nn.ReLU()]
        self.classifier = nn.Sequential(features, *between, nn.Linear(hidden or width, num_classes))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Logits."""
        return self.classifier(x)

    def layers(self, x: Float[Tensor, "b c h w"]) -> list[Tensor]:
        """The activations of each hidden layer, behind its rectifier, and the logits."""
        found = []
        # the layers in the order of the forward pass; sequences of them have none of their own
        for module in (m for m in self.classifier.modules() if not isinstance(m, nn.Sequential)):
            x = module(x)
            if isinstance(module, nn.ReLU):
                found.append(x)
        return [*found, x]


@MODELS.register("st_fcn")
class STFCN(nn.Module):
    """An :class:`FCN` behind a spatial transformer whose localiser has three hidden layers of 32 units.

    Args:
        input_shape: ``(C, H, W)`` of an image.
        num_classes: number of logits.
        hidden: width of the classifier's hidden layers.
        localizer: ``fc``, as in the paper; or ``conv``, the localiser of :class:`STCNN` with 32 units.
        transform: a registered name, or ``{name: .., **arguments}``.
        sampler: further arguments of :class:`reticle.SpatialTransformer`: output_size, antialias, align_corners, mode, ...
    """

    def __init__(
        self,
        input_shape: Shape,
        num_classes: int = 10,
        *,
        hidden: int = 200,
        localizer: str = "fc",
        transform: str | Mapping[str, Any] = "affine",
        sampler: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.transformer = transformer_of(*_features(localizer, "STFCN", input_shape), transform, sampler)
        self.classifier = FCN(output_shape(self.transformer, input_shape), num_classes, hidden=hidden)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Logits of what the transformer sees."""
        return self.classifier(self.transformer(x))


@MODELS.register("st_cnn")
class STCNN(nn.Module):
    """A :class:`CNN` behind a spatial transformer whose localiser looks at the image at half resolution.

    The localiser: average over 2×2, convolution 5×5, max-pooling by 2, convolution 5×5, 20 units.

    Args:
        input_shape: ``(C, H, W)`` of an image.
        num_classes: number of logits.
        filters: number of filters of the classifier's layers.
        hidden: width of the classifier's hidden layer, if it shall have one.
        localizer_filters: number of filters of the localiser's convolutions.
        transform: a registered name, or ``{name: .., **arguments}``.
        sampler: further arguments of :class:`reticle.SpatialTransformer`: output_size, antialias, align_corners, mode, ...
    """

    def __init__(
        self,
        input_shape: Shape,
        num_classes: int = 10,
        *,
        filters: int = 32,
        hidden: int | None = None,
        localizer_filters: int = 20,
        transform: str | Mapping[str, Any] = "affine",
        sampler: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        features = _convolutional("STCNN", input_shape, filters=localizer_filters, units=20)
        self.transformer = transformer_of(features, 20, transform, sampler)
        self.classifier = CNN(output_shape(self.transformer, input_shape), num_classes, filters=filters, hidden=hidden)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Logits of what the transformer sees."""
        return self.classifier(self.transformer(x))


@MODELS.register("parallel_st_fcn")
class ParallelSTFCN(nn.Module):
    """An :class:`FCN` behind transformers side by side: each warps all channels, and the classifier sees all that come out.

    The localisers share no weights. All start at the identity, each with random features of its own: they see the same at first,
    learn from different gradients, and so part.

    Args:
        input_shape: ``(C, H, W)`` of an image.
        num_classes: number of logits.
        transformers: how many.
        hidden: width of the classifier's hidden layers.
        localizer: ``fc``, three hidden layers of 32 units; or ``conv``, the localiser of :class:`STCNN` with 32 units.
        transform: a registered name, or ``{name: .., **arguments}``.
        sampler: further arguments of :class:`reticle.SpatialTransformer`: output_size, antialias, align_corners, mode, ...

    Reference: Jaderberg et al. 2015, sec. 3.4 and A.1.
    """

    def __init__(
        self,
        input_shape: Shape,
        num_classes: int = 19,
        *,
        transformers: int = 2,
        hidden: int = 200,
        localizer: str = "conv",
        transform: str | Mapping[str, Any] = "affine",
        sampler: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_positive_int("ParallelSTFCN", "transformers", transformers)
        parts = [transformer_of(*_features(localizer, "ParallelSTFCN", input_shape), transform, sampler) for _ in range(transformers)]
        self.transformer = ParallelTransformers(*parts)
        channels, height, width = output_shape(parts[0], input_shape)
        self.classifier = FCN((channels * transformers, height, width), num_classes, hidden=hidden)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Logits of what the transformers see."""
        return self.classifier(self.transformer(x))


def _features(localizer: str, model: str, input_shape: Shape) -> tuple[nn.Module, int]:
    """The hidden layers of a localiser, and how many units the last has."""
    if localizer == "conv":
        return _convolutional(model, input_shape, filters=20, units=32), 32
    if localizer != "fc":
        raise ValueError(f"{model}: `localizer` must be fc or conv; got {localizer!r}.")
    units = [input_shape[0] * input_shape[1] * input_shape[2], 32, 32, 32]
    layers = [layer for a, b in zip(units, units[1:], strict=False) for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), *layers), 32


def _convolutional(model: str, input_shape: Shape, *, filters: int, units: int) -> nn.Module:
    _check_side(model, input_shape, 28, "localiser")
    convolutions = nn.Sequential(
        nn.AvgPool2d(2),
        nn.Conv2d(input_shape[0], filters, 5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(filters, filters, 5),
        nn.ReLU(),
        nn.Flatten(),
    )
    return nn.Sequential(convolutions, nn.Linear(width_of(convolutions, input_shape), units), nn.ReLU())


def _check_side(model: str, input_shape: Sequence[int], least: int, part: str) -> None:
    if min(input_shape[1:]) < least:
        raise ValueError(f"{model}: `input_shape` must be at least {least}×{least} pixels for its {part}; got {tuple(input_shape)}.")
