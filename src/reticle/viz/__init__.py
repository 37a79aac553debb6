"""How does one see what a transformer does? Pictures from tensors: windows on inputs, a training as a film, curves.

Reading order: ``outline`` (geometry), ``panel`` and ``cards`` (drawing), ``volume`` (cards in 3-D), ``pages`` (the pictures),
``motion`` (an input that moves), ``gif`` and ``curves`` (files).
"""

from .cards import View
from .classes import mean_picture, save_confusion
from .curves import Curve, save_curves
from .gif import save_gif
from .motion import MOTIONS, moving_images
from .pages import Snapshot, evolution_frames, evolution_picture, moving_frames, window_picture
from .volume import BOX

__all__ = [
    "BOX",
    "MOTIONS",
    "Curve",
    "Snapshot",
    "View",
    "evolution_frames",
    "evolution_picture",
    "mean_picture",
    "moving_frames",
    "moving_images",
    "save_confusion",
    "save_curves",
    "save_gif",
    "window_picture",
]
