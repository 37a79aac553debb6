"""The networks that read a sequence of digits: a plain one, one behind a spatial transformer, and one that looks digit by digit.

Reference: Sønderby et al. 2015; the layers are those of the authors' code.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from ..checks import check_positive_int
from ..modules import SpatialTransformer
from ..recurrent import RecurrentLocalizer, RecurrentSpatialTransformer
from .base import MODELS, build_transform, start_of, transformer_of

Shape = tuple[int, int, int]


@MODELS.register("spn_cnn")
class SPNCNN(nn.Module):
    """The classifier alone: three 3×3 convolutions, pooling between them, 400 units, and a head for each digit.

    Args:
        input_shape: ``(C, H, W)`` of an image, at least 18×18.
        num_classes: number of logits of each head.
        length: number of digits in an image.
        filters: number of filters of each layer.
        hidden: width of the hidden layer.
    """

    def __init__(self, input_shape: Shape, num_classes: int = 10, *, length: int, filters: int = 96, hidden: int = 400) -> None:
        super().__init__()
        self.length = length
        self.classifier = _glorot(_classifier(input_shape, length * num_classes, filters, hidden))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b t k"]:
        """Logits of each digit."""
        return self.classifier(x).unflatten(1, (self.length, -1))


@MODELS.register("ffn_spn")
class FFNSPN(nn.Module):
    """A spatial transformer with one window, and behind it the classifier of :class:`SPNCNN`.

    The localiser: three times pooling by 2 and a 3×3 convolution, then 200 units.

    Args:
        input_shape: ``(C, H, W)`` of an image, at least 36×36.
        num_classes, length, filters, hidden: as for :class:`SPNCNN`.
        downsample: sides of the image divided by those of the window.
        localizer_filters, localizer_hidden: widths in the localiser.
        transform: a registered name, or ``{name: .., **arguments}``.
        start: the window's ``theta`` before training; the identity if not given.
        sampler: further arguments of :class:`reticle.SpatialTransformer`: align_corners, mode, ...; not output_size.
    """

    def __init__(
        self,
        input_shape: Shape,
        num_classes: int = 10,
        *,
        length: int,
        filters: int = 96,
        hidden: int = 400,
        downsample: int = 2,
        localizer_filters: int = 20,
        localizer_hidden: int = 200,
        transform: str | Mapping[str, Any] = "affine",
        start: Sequence[float] | None = None,
        sampler: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        convolutions, width = _convolutions(input_shape, localizer_filters)
        features = _glorot(nn.Sequential(convolutions, nn.Linear(width, localizer_hidden), nn.ReLU()))
        window = _window(input_shape, downsample)
        self.transformer = transformer_of(features, localizer_hidden, transform, _options(window, sampler), start)
        self.classifier = SPNCNN(window, num_classes, length=length, filters=filters, hidden=hidden)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b t k"]:
        """Logits of each digit in what the transformer sees."""
        return self.classifier(self.transformer(x))


@MODELS.register("rnn_spn")
class RNNSPN(nn.Module):
    """A recurrent spatial transformer with one window for each digit, and one classifier of narrower layers for all of them.

    The localiser: three times pooling by 2 and a 3×3 convolution, then a recurrent unit that runs one step for each digit.

    Args:
        input_shape: ``(C, H, W)`` of an image, at least 36×36.
        num_classes: number of logits of each digit.
        length: number of digits in an image.
        filters, hidden: widths of the classifier.
        downsample: sides of the image divided by those of a window.
        localizer_filters, localizer_hidden: number of filters, and length of the recurrent unit's state.
        transform: a registered name, or ``{name: .., **arguments}``.
        start: the windows' ``theta`` before training; the identity if not given.
        sampler: further arguments of :class:`reticle.SpatialTransformer`: align_corners, mode, ...; not output_size.
    """

    def __init__(
        self,
        input_shape: Shape,
        num_classes: int = 10,
        *,
        length: int,
        filters: int = 32,
        hidden: int = 400,
        downsample: int = 3,
        localizer_filters: int = 20,
        localizer_hidden: int = 256,
        transform: str | Mapping[str, Any] = "affine",
        start: Sequence[float] | None = None,
        sampler: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        convolutions, width = _convolutions(input_shape, localizer_filters)
        family, window = build_transform(transform), _window(input_shape, downsample)
        localizer = RecurrentLocalizer(_glorot(convolutions), width, family, steps=length, hidden=localizer_hidden, start=start_of(start))
        self.transformer = RecurrentSpatialTransformer(SpatialTransformer(localizer, family, **_options(window, sampler)))
        self.classifier = _glorot(_classifier(window, num_classes, filters, hidden))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b t k"]:
        """Logits of each digit in its own window."""
        windows = self.transformer(x)
        return self.classifier(windows.flatten(0, 1)).unflatten(0, windows.shape[:2])


def _convolutions(input_shape: Shape, filters: int) -> tuple[nn.Sequential, int]:
    """The localisers' convolutions, and the length of their output."""
    channels, *size = input_shape
    if min(size) < 36:
        raise ValueError(f"ffn_spn, rnn_spn: `input_shape` must be at least 36×36 pixels for the localiser; got {tuple(input_shape)}.")
    layers: list[nn.Module] = []
    for _ in range(3):
        layers += [nn.MaxPool2d(2), nn.Conv2d(channels, filters, 3), nn.ReLU()]
        channels, size = filters, [n // 2 - 2 for n in size]
    return nn.Sequential(*layers, nn.Flatten()), filters * size[0] * size[1]


def _classifier(input_shape: Shape, num_logits: int, filters: int, hidden: int) -> nn.Sequential:
    channels, *size = input_shape
    if min(size) < 18:
        raise ValueError(f"spn_cnn, ffn_spn, rnn_spn: the classifier must see at least 18×18 pixels; got {tuple(input_shape)}.")
    height, width = (((n - 2) // 2 - 2) // 2 - 2 for n in size)
    # pooling before the rectifier: the same function for a quarter of the rectifier's work
    first, second = (layer for c in (channels, filters) for layer in [nn.Sequential(nn.Conv2d(c, filters, 3), nn.MaxPool2d(2), nn.ReLU())])
    third = nn.Sequential(nn.Conv2d(filters, filters, 3), nn.ReLU(), nn.Flatten())
    return nn.Sequential(first, second, third, nn.Linear(filters * height * width, hidden), nn.ReLU(), nn.Linear(hidden, num_logits))


def _window(input_shape: Shape, downsample: int) -> Shape:
    check_positive_int("ffn_spn, rnn_spn", "downsample", downsample)
    channels, height, width = input_shape
    return channels, height // downsample, width // downsample


def _options(window: Shape, sampler: Mapping[str, Any] | None) -> dict[str, Any]:
    """Arguments of the transformer, whose output the classifier is made for."""
    if sampler and "output_size" in sampler:
        raise ValueError(f"ffn_spn, rnn_spn: `sampler` must leave output_size to `downsample`; got {sampler['output_size']!r}.")
    return {"output_size": window[1:], **(sampler or {})}


def _glorot(network: nn.Sequential) -> nn.Sequential:
    """``network`` with the weights as the authors' library draws them: uniform after Glorot, biases 0."""
    for name, parameter in network.named_parameters():
        if name.endswith("weight"):
            nn.init.xavier_uniform_(parameter)
        else:
            nn.init.zeros_(parameter)
    return network
