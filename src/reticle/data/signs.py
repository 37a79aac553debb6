"""Traffic signs that need no download: drawn plates of a few shapes and colours with digits on them, in tracks that come nearer."""

import functools
import math
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..grid import base_grid
from ..transforms import Similarity
from .decode import Format
from .digits import digits
from .distorted import DATASETS
from .gtsrb import SignImages
from .gtsrb_files import Signs
from .labelled import Labelled, Weights
from .order import class_by_class, generator
from .split import Digits

# name, sides of the plate (0: round), turned by so many of its sides, plate, rim, ink
PLATES = (
    ("red ring", 0, 0.0, (0.95, 0.95, 0.92), (0.75, 0.10, 0.12), (0.08, 0.08, 0.08)),
    ("blue disc", 0, 0.0, (0.10, 0.25, 0.65), (0.90, 0.92, 0.95), (0.95, 0.95, 0.95)),
    ("red triangle", 3, 0.0, (0.95, 0.95, 0.92), (0.75, 0.10, 0.12), (0.08, 0.08, 0.08)),
    ("yellow diamond", 4, 0.0, (0.95, 0.75, 0.10), (0.95, 0.95, 0.92), (0.08, 0.08, 0.08)),
    ("red octagon", 8, 0.5, (0.70, 0.08, 0.10), (0.95, 0.95, 0.92), (0.95, 0.95, 0.95)),
)
DIGITS = (0, 1, 4)
FRAMES, TRACKS, TEST_TRACKS = 10, 8, 4  # of each class


@DATASETS.register("signs")
def signs(*, size: int = 48, class_weights: Weights = None, limit: int | None = None, data_dir: Path | str | None = None) -> SignImages:
    """Drawn signs in place of GTSRB's: 15 classes, 5 plates with 3 digits each, 1,200 images to train on and 600 to test.

    Each track is one sign under one light that comes nearer, from 10 moments. The drawing is the same everywhere and always.

    Args:
        size: side of the images, in pixels.
        class_weights, limit: as for :class:`LabelledImages`.
        data_dir: not needed; taken so that data sets can be exchanged.
    """
    names = [f"{plate[0]} {digit}" for plate in PLATES for digit in DIGITS]
    parts = []
    for stream, tracks in ((1, TRACKS), (2, TEST_TRACKS)):
        labels = np.repeat(np.arange(len(names)), tracks * FRAMES)
        number = np.tile(np.repeat(np.arange(tracks), FRAMES), len(names))
        index = np.arange(len(labels)) if limit is None else np.sort(class_by_class(labels)[:limit])
        wanted = sorted({(int(labels[i]), int(number[i])) for i in index})
        drawn = {key: _track(*key, stream=stream, size=size) for key in wanted}
        frame = np.arange(len(labels)) % FRAMES
        images = np.stack([drawn[int(labels[i]), int(number[i])][0][frame[i]] for i in index])
        boxes = np.stack([drawn[int(labels[i]), int(number[i])][1][frame[i]] for i in index])
        parts.append((Labelled(images, labels[index]), Signs([], labels[index], number[index], boxes)))
    (train, train_signs), (test, test_signs) = parts
    film = _track(0, 0, stream=2, size=size)[0].copy()  # what is stacked is a copy already
    return SignImages(
        train,
        test,
        signs=(train_signs, test_signs),
        film=Labelled(film, np.zeros(len(film), dtype=np.int64)),
        classes=names,
        class_weights=class_weights,
        want=Format((size, size)),
    )


@functools.lru_cache(maxsize=256)  # all 180 of one size, 12 MB at the usual one: a run asks for its data more than once
def _track(label: int, track: int, *, stream: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Ten images of one sign, ``(10, S, S, 3)``, and the boxes round its plate."""
    rng = generator(stream, label * 1000 + track)
    plate, digit = PLATES[label // len(DIGITS)], DIGITS[label % len(DIGITS)]
    near = np.linspace(0, 1, FRAMES)
    # theta, target to source: far, the sign is small and off the middle
    angle, shift = rng.normal(0, 0.12), rng.uniform(-0.3, 0.3, 2)
    scale = np.log(1.9 - 0.75 * near + rng.normal(0, 0.03, FRAMES))
    theta = np.column_stack([np.full(FRAMES, angle), scale, np.outer(1.4 - near, shift)])
    points = Similarity()(torch.from_numpy(theta), base_grid((size, size), dtype=torch.float64))
    images = _paint(points, plate, _ink(digit, track + TRACKS * (stream - 1), points))
    light, tint = rng.uniform(0.35, 1.0), rng.uniform(0.85, 1.15, 3)
    noise = rng.normal(0, 0.02, images.shape)
    pixels = (images.numpy() * light * tint + noise).clip(0, 1)
    centre, half = Similarity().inverse(torch.from_numpy(theta)).numpy()[:, 2:], np.exp(-scale)[:, None]
    return (pixels * 255).round().astype(np.uint8), np.concatenate([centre - half, centre + half], 1).astype(np.float32)


def _paint(points: Float[Tensor, "t h w 2"], plate: tuple, ink: Float[Tensor, "t h w"]) -> Float[Tensor, "t h w 3"]:
    """Sky above, ground below, and on them the plate with its rim and its digit."""
    _, sides, turn, inner, outer, writing = plate
    sky = torch.linspace(0.75, 0.35, points.shape[1], dtype=torch.float64)[:, None, None]
    page = sky * torch.tensor([0.9, 1.0, 1.1], dtype=torch.float64).expand(*points.shape[:3], 3)
    reach = _reach(points, sides, turn)
    for edge, colour in ((1.0, outer), (0.78, inner)):
        page = torch.lerp(page, torch.tensor(colour, dtype=torch.float64), ((edge - reach) * 12).clamp(0, 1)[..., None])
    return torch.lerp(page, torch.tensor(writing, dtype=torch.float64), ink[..., None])


def _reach(points: Float[Tensor, "t h w 2"], sides: int, turn: float) -> Float[Tensor, "t h w"]:
    """How far out a point lies, 1 on the edge of the plate."""
    if not sides:
        return points.norm(dim=-1)
    step = 2 * math.pi / sides
    # the distance to the farthest of the edges, whose middles lie opposite to the corners of a triangle that stands on its side
    outward = [math.pi / 2 + step * (k + turn + (0.0 if sides == 3 else 0.5)) for k in range(sides)]
    edges = torch.tensor([[math.cos(a), math.sin(a)] for a in outward], dtype=torch.float64)
    return (points @ edges.T).amax(-1) / math.cos(step / 2)


def _ink(digit: int, sample: int, points: Float[Tensor, "t h w 2"]) -> Float[Tensor, "t h w"]:
    """The digit on the plate, read off scikit-learn's scans."""
    scans = _scans()
    which = np.flatnonzero(scans.labels.numpy() == digit)[sample]
    x, y = ((points / 0.55 + 1) * 14 - 0.5).round().long().clamp(-1, 28).unbind(-1)
    padded = torch.nn.functional.pad(scans.images[which].double() / 255, (1, 1, 1, 1))
    return padded[y + 1, x + 1]


@functools.cache
def _scans() -> Digits:
    return digits(distortion="none", canvas=28).train
