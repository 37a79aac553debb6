"""The network for traffic signs: three convolutions as IDSIA's, with spatial transformers before any of them.

Reference: Moodstocks 2015, "99.61% on GTSRB with Spatial Transformer Networks"; Ciresan, Meier, Masci & Schmidhuber 2012.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from ..checks import check_size
from ..modules import Localizer, SpatialTransformer
from .base import MODELS, build_transform
from .contrast import ContrastNorm, GlobalNorm
from .localizers import RefiningLocalizer, SharedFeatures

Shape = tuple[int, int, int]
Widths = Sequence[int]
BOX9 = (1.0,) * 9
PREPARATIONS: dict[str, list[Callable[[], nn.Module]]] = {"none": [], "global": [GlobalNorm], "local": [GlobalNorm, ContrastNorm]}
NORMS: dict[str, Callable[[int], nn.Module]] = {
    "contrast": lambda channels: ContrastNorm(),
    "contrast_box": lambda channels: ContrastNorm(BOX9),
    "batch": nn.BatchNorm2d,
    "none": lambda channels: nn.Identity(),
}


@MODELS.register("idsia")
class IDSIA(nn.Module):
    """Three blocks of convolution, max-pooling by 2, rectifier and normalisation, then two linear layers; with transformers or none.

    With its defaults it is the network of 5.3 million weights that got 98.85 % of the signs right by itself, and with
    ``localizers={1: (200, 300, 200), 3: (150, 150, 150)}`` the one of 10.3 million that got 99.61 % and then 99.67 %.

    Args:
        input_shape: ``(C, H, W)`` of an image.
        num_classes: number of logits.
        filters: number of filters of the three convolutions.
        kernels: their sizes; all are padded by 2.
        hidden: width of the hidden linear layer.
        norm: what follows each block: ``contrast`` (:class:`ContrastNorm`), ``contrast_box`` (the same with a kernel of 9 equal
            weights, which is what the authors' code did), ``batch`` or ``none``.
        input_norm: what is done to the images: ``local`` (one mean and deviation for all, then :class:`ContrastNorm`), ``global``
            (the first alone) or ``none``.
        dropout: share of the inputs of both linear layers that is left out in training.
        localizers: a transformer before the first, second or third convolution, ``{1: (a, b, c)}``: convolutions 5x5 of ``a`` and
            ``b`` filters, each after a max-pooling by 2, one pooling more and ``c`` units predict its θ.
        localizer_norm: batch normalisation in the localisers' convolutions, too.
        shared: the first transformer predicts its θ not from convolutions of its own, but from the output of so many blocks of the
            classifier, through one layer of ``c`` units; the image is warped all the same.
        refine: how often the first transformer looks again: it predicts a correction of its θ from what it sees by it. Each look
            reads the image itself, so nothing is lost.
        transform: a registered name, or ``{name: .., **arguments}``; of all transformers.
        sampler: further arguments of :class:`reticle.SpatialTransformer`; ``output_size`` and ``antialias`` are the first one's alone.
    """

    def __init__(
        self,
        input_shape: Shape,
        num_classes: int = 43,
        *,
        filters: Widths = (150, 200, 300),
        kernels: Widths = (7, 4, 4),
        hidden: int = 350,
        norm: str = "contrast",
        input_norm: str = "local",
        dropout: float = 0.0,
        localizers: Mapping[int, Widths] | None = None,
        localizer_norm: bool = False,
        shared: int = 0,
        refine: int = 0,
        transform: str | Mapping[str, Any] = "affine",
        sampler: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        _check_names(norm=(norm, NORMS), input_norm=(input_norm, PREPARATIONS))
        _check_widths(filters=filters, kernels=kernels)
        places, sampler = _places(localizers or {}), sampler or {}
        _check_first(1 in places, shared=shared, refine=refine)
        image: Shape = (input_shape[0], input_shape[1], input_shape[2])
        self.prepare = nn.Sequential(*(part() for part in PREPARATIONS[input_norm]))
        self.transformer: nn.Module = nn.Identity()
        before = _inside(places, transform, sampler, batch_norm=localizer_norm)
        seen = _window(image, sampler) if 1 in places else image
        layers, shape = _blocks(seen, filters, kernels, NORMS[norm], before)
        if 1 in places:
            own = None if shared else _features(image, places[1], batch_norm=localizer_norm)
            features = own or _shared(layers[:shared], filters, kernels, image, places[1])
            self.transformer = _transformer(features, places[1][-1], transform, refine=refine, **sampler)
        drop = [nn.Dropout(dropout)] if dropout else []
        linear = [*drop, nn.Linear(math.prod(shape), hidden), nn.ReLU(), *drop, nn.Linear(hidden, num_classes)]
        self.classifier = nn.Sequential(*layers, nn.Flatten(), *linear)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Logits of what the transformers see."""
        return self.classifier(self.transformer(self.prepare(x)))


def _inside(
    places: Mapping[int, Widths], transform: str | Mapping[str, Any], sampler: Mapping[str, Any], *, batch_norm: bool
) -> Callable[[int, Shape], list[nn.Module]]:
    """What stands before a convolution inside the network: a transformer, or nothing."""
    inner = _reading(sampler)

    def before(place: int, shape: Shape) -> list[nn.Module]:
        if place == 1 or place not in places:
            return []
        return [_transformer(_features(shape, places[place], batch_norm=batch_norm), places[place][-1], transform, **inner)]

    return before


def _blocks(
    shape: Shape, filters: Widths, kernels: Widths, norm: Callable[[int], nn.Module], before: Callable[[int, Shape], list[nn.Module]]
) -> tuple[list[nn.Module], Shape]:
    """The convolutional part, with what stands ``before`` each block, and the shape of its output."""
    layers: list[nn.Module] = []
    for place, (width, kernel) in enumerate(zip(filters, kernels, strict=True), start=1):
        layers += before(place, shape)
        # pooling before the rectifier: the same function for a quarter of the rectifier's work
        layers.append(nn.Sequential(nn.Conv2d(shape[0], width, kernel, padding=2), nn.MaxPool2d(2), nn.ReLU(), norm(width)))
        shape = _after(shape, width, kernel)
    return layers, shape


def _shared(layers: list[nn.Module], filters: Widths, kernels: Widths, shape: Shape, widths: Widths) -> nn.Module:
    """The features of the first blocks of the classifier, then a linear layer."""
    if any(isinstance(layer, SpatialTransformer) for layer in layers):
        raise ValueError("IDSIA: `shared` must be blocks without a transformer between them; got localizers among them.")
    for width, kernel in list(zip(filters, kernels, strict=True))[: len(layers)]:
        shape = _after(shape, width, kernel)
    return SharedFeatures(layers, nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), widths[-1]), nn.ReLU()))


def _features(shape: Shape, widths: Widths, *, batch_norm: bool) -> nn.Module:
    """A localiser's own layers."""
    if min(shape[1:]) < 8 or len(widths) != 3:
        need = "three widths, for maps of at least 8×8 pixels"
        raise ValueError(f"IDSIA: `localizers` must give {need}; got {list(widths)} for {tuple(shape)}.")
    layers: list[nn.Module] = [nn.MaxPool2d(2)]
    for inputs, outputs in ((shape[0], widths[0]), (widths[0], widths[1])):
        norm = [nn.BatchNorm2d(outputs)] if batch_norm else []
        layers += [nn.Conv2d(inputs, outputs, 5, padding=2), nn.MaxPool2d(2), nn.ReLU(), *norm]
    width = widths[1] * (shape[1] // 8) * (shape[2] // 8)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width, widths[2]), nn.ReLU())


def _transformer(
    features: nn.Module, units: int, transform: str | Mapping[str, Any], *, refine: int = 0, **sampler: Any
) -> SpatialTransformer:
    family = build_transform(transform)
    localizer: nn.Module = Localizer(features, units, family)
    if refine:
        # its looks are of the image's size, for which the features are made
        localizer = RefiningLocalizer(localizer, family, looks=refine + 1, **_reading(sampler))
    return SpatialTransformer(localizer, family, **sampler)


def _reading(sampler: Mapping[str, Any]) -> dict[str, Any]:
    """How pixels are read, whatever the size of the output."""
    return {key: value for key, value in sampler.items() if key not in ("output_size", "antialias")}


def _window(image: Shape, sampler: Mapping[str, Any]) -> Shape:
    """Shape of what the first transformer shows."""
    size = sampler.get("output_size")
    if size is None:
        return image
    height, width = check_size("IDSIA", "sampler.output_size", size, 2)
    return image[0], height, width


def _after(shape: Shape, width: int, kernel: int) -> Shape:
    """Shape of the features after a block."""
    height, across = ((side + 5 - kernel) // 2 for side in shape[1:])
    if min(height, across) < 1:
        raise ValueError(f"IDSIA: `input_shape` must be large enough for three convolutions and poolings; a block is given {shape}.")
    return width, height, across


def _places(localizers: Mapping[int, Widths]) -> dict[int, Widths]:
    if not set(localizers) <= {1, 2, 3}:
        raise ValueError(f"IDSIA: `localizers` must stand before convolution 1, 2 or 3; got {sorted(localizers)}.")
    return dict(localizers)


def _check_names(**given: tuple[str, Mapping[str, Any]]) -> None:
    for argument, (name, known) in given.items():
        if name not in known:
            raise ValueError(f"IDSIA: `{argument}` must be one of {', '.join(known)}; got {name!r}.")


def _check_widths(**given: Widths) -> None:
    for argument, widths in given.items():
        three = isinstance(widths, Sequence) and len(widths) == 3
        if not three or not all(isinstance(n, Integral) and not isinstance(n, bool) and n > 0 for n in widths):
            raise ValueError(f"IDSIA: `{argument}` must be three positive whole numbers, one for each convolution; got {widths!r}.")


def _check_first(there: bool, *, shared: int, refine: int) -> None:
    """Raise unless what is said of the first transformer is possible, and nothing is said where it is not ``there``."""
    blocks, times = "a number of blocks, 0 to 3", "a whole number of at least 0"
    for argument, number, most, allowed in (("shared", shared, 3, blocks), ("refine", refine, math.inf, times)):
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= most:
            raise ValueError(f"IDSIA: `{argument}` must be {allowed}; got {number!r}.")
        if number and not there:
            fix = "Give it one: localizers={1: (a, b, c)}."
            raise ValueError(f"IDSIA: `{argument}` must be 0 without a transformer before convolution 1; got {number}.\n  {fix}")
