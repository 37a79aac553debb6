"""Which characters does an image show, one after the other? Cross-entropy and errors of each character on its own."""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ..checks import check_shape
from .base import ACCURACY, TASKS, AbstractTask


@TASKS.register("sequence")
class Sequence(AbstractTask):
    """Several classes in a fixed order: outputs are logits ``(B, T, K)``, targets the numbers of the classes ``(B, T)``.

    Each character counts on its own. Metrics: ``error_percent``, the share of characters that are read wrong, and ``accuracy_percent``.

    >>> logits, labels = torch.eye(3)[None, [0, 1, 1]], torch.tensor([[0, 1, 2]])
    >>> Sequence().mistakes(logits, labels)
    tensor([[  0.,   0., 100.]])

    Reference: Sønderby et al. 2015, sec. 3.
    """

    metrics = ACCURACY

    def loss(self, outputs: Float[Tensor, "b t k"], images: Float[Tensor, "b c *size"], targets: Int[Tensor, "b t"]) -> Float[Tensor, ""]:
        batch, length, _ = outputs.shape
        check_shape("sequence", "targets", targets, "B T", B=batch, T=length, hint="Is `task` the one that the data set is made for?")
        return F.cross_entropy(outputs.flatten(0, 1), targets.flatten())

    def mistakes(self, outputs: Float[Tensor, "b t k"], targets: Int[Tensor, "b t"]) -> Float[Tensor, "b t"]:
        return 100.0 * (self.answers(outputs) != targets)

    def answers(self, outputs: Float[Tensor, "b t k"]) -> Int[Tensor, "b t"]:
        return outputs.argmax(2)
