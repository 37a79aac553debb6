"""What the tests of pictures draw: images of one size, and windows on them."""

import torch
from PIL import ImageColor

from reticle.grid import base_grid
from reticle.sampling import grid_sample
from reticle.transforms import Affine
from reticle.viz import View
from reticle.viz.style import WINDOWS

SIZE = (20, 20)
ORANGE = ImageColor.getrgb(WINDOWS[0])


def view_of(images, theta, transform=None, **how):
    transform = transform or Affine()
    grid = transform(theta.expand(len(images), -1), base_grid(images.shape[-2:], **how))
    return View(grid, grid_sample(images, grid, **how), how.get("align_corners", False))


def zoomed(scale, count=1):
    return torch.tensor([[scale, 0.0, 0.0, 0.0, scale, 0.0]]).expand(count, -1)
