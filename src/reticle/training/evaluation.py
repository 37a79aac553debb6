"""How wrong is a model on the test set?"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .parallel import Place


@torch.no_grad()
def mean_mistake(
    model: nn.Module, images: Tensor, targets: Tensor, *, mistakes: Callable[[Any, Tensor], Tensor], place: Place, batch_size: int = 250
) -> float:
    """The mean of ``mistakes(outputs, targets)`` over all answers to ``images``; the processes take batches in turn.

    Buffers of ``model``, such as running statistics, are those of the first process afterwards, in every process.
    """
    place.agree(model)
    was_training = model.training
    model.eval()
    totals = torch.zeros(2, dtype=torch.float64, device=place.device)
    # the same batches for any number of processes, so that the answer is the same too
    batches = list(zip(images.split(batch_size), targets.split(batch_size), strict=True))
    for x, y in batches[place.rank :: place.world_size]:
        found = mistakes(model(x.to(place.device)), y.to(place.device))
        totals += torch.stack([found.sum(), torch.full_like(found.sum(), found.numel())])
    model.train(was_training)
    wrong, answers = place.total(totals).tolist()
    return wrong / answers
