"""How many of the test images does a model get wrong?"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .parallel import Place

# what a recipe may name as its metric, from the percentage of wrong answers
METRICS: dict[str, Callable[[float], float]] = {"error_percent": lambda error: error, "accuracy_percent": lambda error: 100.0 - error}


@torch.no_grad()
def error_percent(model: nn.Module, images: Tensor, labels: Tensor, *, place: Place, batch_size: int = 250) -> float:
    """How many percent of ``images`` the model puts into a wrong class; the processes take batches in turn."""
    was_training = model.training
    model.eval()
    wrong = torch.zeros((), dtype=torch.int64, device=place.device)
    # the same batches for any number of processes, so that the answer is the same too
    batches = list(zip(images.split(batch_size), labels.split(batch_size), strict=True))
    for x, y in batches[place.rank :: place.world_size]:
        wrong += (model(x.to(place.device)).argmax(1) != y.to(place.device)).sum()
    model.train(was_training)
    return 100.0 * int(place.total(wrong)) / len(labels)
