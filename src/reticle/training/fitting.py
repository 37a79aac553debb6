"""Does the task of a recipe fit its data and its model? Two images tell, before the first update."""

from typing import Any

import torch
from torch import Tensor, nn

from ..recipe import Recipe
from ..schema import At


@torch.no_grad()
def check_task(recipe: Recipe, task: Any, model: nn.Module, images: Tensor, targets: Tensor) -> None:
    """Raise ValueError unless ``task`` can count mistakes in what ``model`` says of ``images``; the weights stay as they are.

    Its loss is not asked: that may want gradients, or what a model says in training alone.
    """
    images, targets = images[[0, -1]], targets[[0, -1]]
    with torch.random.fork_rng([images.device] if images.device.type == "cuda" else []):
        was_training = model.training
        outputs = model.eval()(images)
        model.train(was_training)
        try:
            task.mistakes(outputs, targets)
        except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
            parts = f"the data {recipe.data.name!r} and the model {recipe.model.name!r}"
            got = f"outputs {_told(outputs)} for targets {_told(targets)} ({str(error).splitlines()[0].rstrip('.')})"
            fix = "Is `task` the one that the data set is made for?"
            raise At(recipe.task.source, "task").error(f"{recipe.task.name!r} must fit {parts}; got {got}.\n  {fix}") from error


def _told(thing: Any) -> str:
    return str(tuple(thing.shape)) if isinstance(thing, Tensor) else type(thing).__name__
