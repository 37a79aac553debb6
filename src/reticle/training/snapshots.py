"""What does the transformer do to a few fixed images, from before training to its end? Kept for the pictures."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..modules import ParallelTransformers, SpatialTransformer, Warp
from ..recurrent import RecurrentSpatialTransformer
from .checkpoint import write_tensors
from .looking import windows
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

    Of transformers side by side the second adds ``theta.1`` and so on, and so does the second look of one that looks again. In 3-D there is
    no grid, which would be the largest by far, and of the output only its sum along the depth.

    ``answers`` makes the prediction from what the model returns, or says None: then there is none.
    """

    def __init__(self, run: Run, model: nn.Module, images: Tensor, labels: Tensor, *, answers: Callable[[Any], Tensor | None]) -> None:
        self.run, self.model, self.answers = run, model, answers
        self.transformer = getattr(model, "transformer", None)
        chosen = first_of_each(labels)
        self.images, self.labels = images[chosen], labels[chosen]

    def write(self, step: int) -> None:
        """Record what the transformer does now."""
        transformer = self.transformer
        if not isinstance(transformer, SpatialTransformer | ParallelTransformers | RecurrentSpatialTransformer):
            return
        was_training = self.model.training
        self.model.eval()
        seen, outputs = windows(self.model, self.images)
        self.model.train(was_training)
        mine = [warp for part in transformer.modules() for reader, warp in seen if reader is part]
        if not mine:  # it reads something else than the images
            return
        if step == 0:
            write_tensors(self.run.snapshots / "images.safetensors", {"images": self.images, "labels": self.labels})
        prediction = self.answers(outputs)
        tensors = {} if prediction is None else {"prediction": prediction}
        for number, warp in enumerate(mine):
            tensors |= {key_of(name, number): tensor for name, tensor in _kept(warp).items()}
        write_tensors(self.run.snapshots / f"{step:07d}.safetensors", tensors)


def key_of(name: str, number: int) -> str:
    """What the tensor ``name`` of transformer ``number`` is called in a snapshot."""
    return f"{name}.{number}" if number else name


def _kept(warp: Warp) -> dict[str, Tensor]:
    if warp.output.ndim == 5:
        return {"theta": warp.theta, "output": warp.output.sum(2)}
    return {"theta": warp.theta, "output": warp.output, "grid": warp.grid.float()}
