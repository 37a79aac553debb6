"""Which class does an image show? One logit a class, cross-entropy, and the share of images put into a wrong class."""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ..checks import check_shape
from .base import ACCURACY, TASKS, AbstractTask


@TASKS.register("classification")
class Classification(AbstractTask):
    """One class of several: outputs are logits ``(B, K)``, targets the numbers of the classes ``(B,)``.

    Metrics: ``error_percent``, ``accuracy_percent``.

    >>> logits, labels = torch.tensor([[2.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 1])
    >>> Classification().mistakes(logits, labels)
    tensor([  0., 100.])
    """

    metrics = ACCURACY

    def loss(self, outputs: Float[Tensor, "b k"], images: Float[Tensor, "b c *size"], targets: Int[Tensor, " b"]) -> Float[Tensor, ""]:
        check_shape("classification", "targets", targets, "B", B=len(outputs), hint="Is `task` the one that the data set is made for?")
        return F.cross_entropy(outputs, targets)

    def mistakes(self, outputs: Float[Tensor, "b k"], targets: Int[Tensor, " b"]) -> Float[Tensor, " b"]:
        return 100.0 * (self.answers(outputs) != targets)

    def answers(self, outputs: Float[Tensor, "b k"]) -> Int[Tensor, " b"]:
        return outputs.argmax(1)
