"""What does each transformer of a network do with the images themselves? Found by running the network, whatever it is made of."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..models import ContrastNorm, GlobalNorm
from ..modules import SpatialTransformer, Warp

IN_PLACE = (GlobalNorm, ContrastNorm)  # what leaves every pixel where it is: an image that went through is still the image


class Seen(NamedTuple):
    """A transformer that reads the images, and what it does to them: its ``output`` is sampled from the images as they are."""

    transformer: SpatialTransformer
    warp: Warp


@torch.no_grad()
def windows(model: nn.Module, images: Tensor) -> tuple[list[Seen], Any]:
    """What each transformer that reads the images does with them, and what the model returns. One that looks again stands there again.

    A normalisation before a transformer is seen through. Transformers deeper in the network read features; their windows would not
    fit the image.
    """
    images_now, thetas = [images], {}

    def is_image(x: Tensor) -> bool:
        # the same memory: at the identity a deeper transformer gets an equal image, too
        return any(x.data_ptr() == image.data_ptr() and x.shape == image.shape for image in images_now)

    def follow(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if is_image(inputs[0]):
            images_now.append(output)

    def note(transformer: SpatialTransformer) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def note_theta(_: nn.Module, inputs: tuple[Tensor, ...], theta: Tensor) -> None:
            if is_image(inputs[0]) and transformer not in thetas:
                thetas[transformer] = theta

        return note_theta

    hooks = [module.register_forward_hook(follow) for module in model.modules() if isinstance(module, IN_PLACE)]
    for module in model.modules():
        if isinstance(module, SpatialTransformer):
            hooks.append(module.localizer.register_forward_hook(note(module)))
    try:
        outputs = model(images)
    finally:
        for hook in hooks:
            hook.remove()
    looks = [(transformer, look) for transformer, theta in thetas.items() for look in (theta.unbind(1) if theta.ndim == 3 else [theta])]
    return [Seen(transformer, transformer.sample(images, theta)) for transformer, theta in looks], outputs
