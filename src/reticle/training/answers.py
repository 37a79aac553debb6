"""What does a network answer to each test image, and what does its transformer make of the classes on average?"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .looking import windows


class Answers(NamedTuple):
    """Of ``N`` images in ``K`` classes; the means only of the first transformer that reads the images, if there is one."""

    predictions: Tensor
    """``(N,)``"""
    truth: Tensor
    """``(N,)``, the probability that the network gives to the right class"""
    confusion: Tensor
    """``(K, K)``, how many images of each class (row) went into which (column)"""
    before: Tensor | None
    """``(K, C, H, W)``, the mean image of each class"""
    after: Tensor | None
    """``(K, C, h, w)``, the mean of what the transformer makes of them"""

    def hardest(self, count: int) -> Tensor:
        """The indices of the ``count`` images whose right class is given the least probability."""
        return self.truth.argsort()[:count]


@torch.no_grad()
def answers(model: nn.Module, images: Tensor, labels: Tensor, *, num_classes: int, batch_size: int = 250) -> Answers:
    """Run ``model``, in evaluation mode, over all ``images``."""
    predictions, truth, before, after = [], [], None, None
    for x, y in zip(images.split(batch_size), labels.split(batch_size), strict=True):
        seen, logits = windows(model, x)
        predictions.append(logits.argmax(1))
        truth.append(logits.softmax(1).gather(1, y[:, None])[:, 0])
        if seen:
            before = _add(before, x, y, num_classes)
            after = _add(after, seen[0].warp.output, y, num_classes)
    said = torch.cat(predictions)
    confusion = torch.bincount(labels * num_classes + said, minlength=num_classes**2).view(num_classes, num_classes)
    count = confusion.sum(1).clamp(min=1).view(-1, 1, 1, 1)
    means = (None if total is None else total / count for total in (before, after))
    return Answers(said, torch.cat(truth), confusion, *means)


def _add(total: Tensor | None, images: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    if total is None:
        total = images.new_zeros(num_classes, *images.shape[1:])
    return total.index_add(0, labels, images)
