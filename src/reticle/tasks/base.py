"""What is a network trained for? A task says what the loss of a batch is, which answers are wrong, and what may be reported."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from ..recipe import Recipe
from ..registry import Registry
from ..training.build import make

TASKS: Registry[type["AbstractTask"]] = Registry("task")


Metrics = Mapping[str, Callable[[float], float]]
ACCURACY: Metrics = {"error_percent": lambda error: error, "accuracy_percent": lambda error: 100.0 - error}
"""Of tasks in which an answer is right or wrong."""


class AbstractTask(ABC, nn.Module):
    """What the training minimises, and what the test set is measured by.

    A member gives ``metrics``, :meth:`loss` and :meth:`mistakes`, and is final. ``outputs`` is whatever the model returns, and ``targets``
    whatever the data set gives beside the images: task, model and data of a recipe must fit together.
    It is a module so that networks which it looks through, but does not train, move with ``.to(device)``.
    """

    metrics: Metrics
    """What a recipe may name as ``source.metric``: functions of the test error, which is the mean of all :meth:`mistakes`."""
    error_unit: str = "%"
    """What the mistakes are counted in."""

    def __init__(self) -> None:
        # not a module's own, which takes any argument: a task says which it has
        super().__init__()

    @abstractmethod
    def loss(self, outputs: Any, images: Float[Tensor, "b c *size"], targets: Tensor) -> Float[Tensor, ""]:
        """Return the mean loss of a batch.

        What it draws by chance comes from torch's own random numbers: they are the same after a resume, and different in every process.
        """

    @abstractmethod
    def mistakes(self, outputs: Any, targets: Tensor) -> Float[Tensor, "b *answers"]:
        """Return how wrong each answer is, 0 for a right one; an image may ask for several answers."""

    def answers(self, outputs: Any) -> Tensor | None:
        """Return what was answered, one row an image, to be written beside the pictures; None if there is nothing to write."""
        return None

    def num_right(self, outputs: Any, targets: Tensor) -> Tensor:
        """Return the number of images without a mistake."""
        return (self.mistakes(outputs, targets).reshape(len(targets), -1) == 0).all(1).sum()


def build_task(recipe: Recipe) -> AbstractTask:
    """The task of ``recipe``.

    Raises:
        ValueError: there is no such task, it has no such argument, or it cannot report the recipe's metric.
    """
    task: AbstractTask = make(TASKS, recipe.task, "task", given={})
    if recipe.source.metric not in task.metrics:
        raise ValueError(f"source.metric: must be one of {', '.join(task.metrics)}; got {recipe.source.metric!r}.")
    return task.requires_grad_(False).eval()
