"""What does the transformer do to a few fixed images, from before training to its end? Kept for the pictures."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..modules import SpatialTransformer
from ..recurrent import RecurrentSpatialTransformer
from .checkpoint import write_tensors
from .runs import Run


def snapshot_steps(steps: int, *, count: int = 30) -> set[int]:
    """Before the first step, after the last, and about ``count`` in all, denser early, where more happens.

    >>> sorted(snapshot_steps(100, count=5))
    [0, 1, 5, 22, 100]
    """
    return {0, *(round(steps ** (i / (count - 2))) for i in range(count - 1))}


def first_of_each(labels: Tensor, *, count: int = 6) -> Tensor:
    """The indices of the first ``count`` test images, of different classes if each is of one."""
    if labels.ndim > 1:
        return torch.arange(len(labels))[:count]
    firsts = [int((labels == label).nonzero()[0]) for label in labels.unique()]
    return torch.tensor(sorted(firsts)[:count])


class Snapshots:
    """Writes ``snapshots/<step>.safetensors``: theta, grid, output and prediction for fixed test images. Without a transformer: nothing.

    ``answers`` makes the prediction from what the model returns, or says None: then there is none.
    """

    def __init__(self, run: Run, model: nn.Module, images: Tensor, labels: Tensor, *, answers: Callable[[Any], Tensor | None]) -> None:
        self.run, self.model, self.answers = run, model, answers
        self.transformer = getattr(model, "transformer", None)
        chosen = first_of_each(labels)
        self.images, self.labels = images[chosen], labels[chosen]

    @torch.no_grad()
    def write(self, step: int) -> None:
        """Record what the transformer does now."""
        if not isinstance(self.transformer, SpatialTransformer | RecurrentSpatialTransformer):
            return
        if step == 0:
            write_tensors(self.run.snapshots / "images.safetensors", {"images": self.images, "labels": self.labels})
        was_training = self.model.training
        self.model.eval()
        warps = self.transformer.warp(self.images)
        # a recurrent transformer did several things: they lie along one more axis, behind that of the images
        output, theta, grid = map(_side_by_side, zip(*warps, strict=True)) if isinstance(warps, tuple) else warps
        prediction = self.answers(self.model(self.images))
        self.model.train(was_training)
        tensors = {"theta": theta, "output": output, "grid": grid.float()} | ({} if prediction is None else {"prediction": prediction})
        write_tensors(self.run.snapshots / f"{step:07d}.safetensors", tensors)


def _side_by_side(tensors: tuple[Tensor, ...]) -> Tensor:
    return torch.stack(tensors, dim=1)
