"""A data set and a network that train in a second, for recipes to name as ``tiny:Corners`` and ``tiny:Look``."""

import time

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from reticle import Affine, Localizer, SpatialTransformer
from reticle.recipe import Recipe, Source, Train
from reticle.schema import Part
from reticle.tasks import AbstractTask


class Corners:
    """Noise with one bright corner; which one is the class. ``nan_at``: the step whose images are NaN. ``pause``: seconds a batch takes."""

    input_shape, num_classes, num_test = (1, 6, 6), 4, 40

    def __init__(self, *, limit=None, nan_at=-1, pause=0.0):
        self.num_train, self.nan_at, self.pause = limit or 100, nan_at, pause

    def train_batch(self, step, batch_size, *, seed, rank=0, world_size=1, device="cpu"):
        if self.pause:
            time.sleep(self.pause)
        images, labels = self._draw(np.random.default_rng([1, seed, step]), batch_size)
        part = slice(rank * batch_size // world_size, (rank + 1) * batch_size // world_size)
        return (images * (np.nan if step == self.nan_at else 1))[part].to(device), labels[part].to(device)

    def test_set(self, *, device="cpu"):
        images, labels = self._draw(np.random.default_rng(2), self.num_test)
        return images.to(device), labels.to(device)

    def plain(self, count):
        images, labels = self.test_set()
        return images[:count], labels[:count]

    def _draw(self, rng, count):
        images, labels = rng.random((count, 1, 6, 6), dtype=np.float32), rng.integers(4, size=count)
        for image, label in zip(images[:, 0], labels, strict=True):
            image[3 * (label // 2) :, 3 * (label % 2) :][:3, :3] += 0.5
        return torch.from_numpy(images), torch.from_numpy(labels)


class Bare:
    """What a data set must give, and nothing else."""

    input_shape, num_classes = Corners.input_shape, Corners.num_classes

    def __init__(self):
        corners = Corners()
        self.train_batch, self.test_set = corners.train_batch, corners.test_set


class Apart(AbstractTask):
    """How far apart are the numbers of two classes?"""

    metrics = {"mean_distance": lambda error: error}
    error_unit = "classes"

    def loss(self, outputs, images, targets):
        return cross_entropy(outputs, targets)

    def mistakes(self, outputs, targets):
        return (outputs.argmax(1) - targets).abs().float()


class Look(nn.Module):
    """A spatial transformer before one layer, with dropout, so that resuming needs its random numbers. ``lost_at``: a step of NaN θ."""

    def __init__(self, input_shape, num_classes, *, dropout=0.3, lost_at=-1):
        super().__init__()
        transform = Affine()
        self.lost_at, self.batches = lost_at, 0
        self.transformer = SpatialTransformer(Localizer(nn.Flatten(), 36, transform), transform)
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(36, num_classes))

    def forward(self, x):
        self.batches += self.training
        if self.batches == self.lost_at:
            nn.init.constant_(self.transformer.localizer.head.bias, torch.nan)
        return self.head(self.transformer(x))


class Normed(nn.Module):
    """A spatial transformer before a convolution and batch normalisation, nothing drawn by chance; ``dtype`` is that of its weights."""

    def __init__(self, input_shape, num_classes, *, dtype="float32"):
        super().__init__()
        transform = Affine()
        self.dtype = getattr(torch, dtype)
        self.transformer = SpatialTransformer(Localizer(nn.Flatten(), 36, transform), transform)
        self.head = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, num_classes))
        self.to(self.dtype)

    def forward(self, x):
        return self.head(self.transformer(x.to(self.dtype)))


def Plain(input_shape, num_classes):
    """A network without a transformer."""
    return nn.Sequential(nn.Flatten(), nn.Linear(36, num_classes))


def recipe(*, data=(), model=(), optimizer=(), seed=0, **train):
    """A recipe for these two: 30 steps, a checkpoint every 10."""
    # a faster localizer would soon look past the image, and nothing would depend on anything any more
    plan = {"steps": 30, "batch_size": 8, "lr": 0.1, "localizer_lr": 0.01, "log_every": 4, "eval_every": 15, "checkpoint_every": 10}
    return Recipe(
        name="tiny",
        source=Source(cite="nobody", where="nowhere"),
        seed=seed,
        data=Part("tiny:Corners", dict(data)),
        model=Part("tiny:Look", dict(model)),
        optimizer=Part("sgd", {"momentum": 0.9} | dict(optimizer)),
        train=Train(**plan | train),
        smoke={"train.steps": 2},
    )


class Flat(nn.Identity):
    """No network for classes: it answers with its images."""

    def __init__(self, *, input_shape, num_classes):
        super().__init__()


class Many(Flat):
    """Two answers at once."""

    def forward(self, images):
        return images, images


class Narrow(nn.Sequential):
    """For images of one size only, whatever it is told."""

    def __init__(self, *, input_shape, num_classes):
        super().__init__(nn.Flatten(), nn.Linear(5, num_classes))


def no_module(*, input_shape, num_classes):
    return {}
