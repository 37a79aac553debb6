"""What lies about a digit? Small patches of other digits."""

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

PATCH = 6


def draw_patches(rng: Generator, own: np.ndarray, count: int, *, num_images: int, side: int, canvas: int) -> np.ndarray:
    """Draw ``count`` patches for each image: whole patches of other images, anywhere on the canvas.

    Args:
        own: the numbers of the images themselves, ``(B,)``; patches are not taken from there.
        num_images: how many there are to take patches from; at least 2 if ``count`` is not 0.
        side, canvas: of the images and of the canvas, in pixels.
    Returns:
        ``(B, count, 5)``: number of the image, row and column in it, row and column on the canvas.
    """
    shape = (len(own), count)
    image = (own[:, None] + rng.integers(1, max(num_images, 2), shape)) % num_images
    corner = rng.integers(0, side - PATCH, (*shape, 2), endpoint=True)
    place = rng.integers(0, canvas - PATCH, (*shape, 2), endpoint=True)
    return np.concatenate([image[..., None], corner, place], axis=-1)


def cut(images: Tensor, patches: Tensor) -> Tensor:
    """The pixels of the ``patches``: ``(N, S, S)``, ``(B, count, 5)`` -> ``(B, count, PATCH, PATCH)``."""
    image, row, column = patches[..., :3, None, None].unbind(2)
    step = torch.arange(PATCH, device=patches.device)
    return images[image, row + step[:, None], column + step]


def paste(pixels: Tensor, patches: Tensor, output: Tensor) -> Tensor:
    """Lay the ``pixels`` of the ``patches`` over every channel of ``output`` ``(B, C, H, W)``: the brighter one is seen."""
    row, column = patches[..., 3:, None, None].unbind(2)
    step = torch.arange(PATCH, device=output.device)
    where = ((row + step[:, None]) * output.shape[-1] + column + step).flatten(1)
    where, pixels = (x.flatten(1)[:, None].expand(-1, output.shape[1], -1) for x in (where, pixels))
    return output.flatten(2).scatter_reduce(2, where, pixels, "amax").view_as(output)
