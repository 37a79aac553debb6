"""Is the training still sane? A diverged run must stop by itself, with the step and the fix, before it is saved over a good one."""

import torch
from torch import Tensor, nn

from ..modules import SpatialTransformer
from .parallel import Place


def transformers(model: nn.Module) -> list[tuple[str, SpatialTransformer]]:
    """The transformers of ``model`` by name, in the order of the rows of :class:`Watch`, which follow that of the loss."""
    return [(name, module) for name, module in model.named_modules() if isinstance(module, SpatialTransformer)]


class Watch:
    """Remembers the first step at which the loss or a θ was NaN or infinite.

    It looks at every step but reports only when asked, so that the GPU need not wait for the answer.
    """

    def __init__(self, model: nn.Module, place: Place) -> None:
        self.place = place
        self.names = ["the loss"]
        self.step = 0
        for row, (name, module) in enumerate(transformers(model), start=1):
            self.names.append(f"θ of `{name}`" if name else "θ")
            module.localizer.register_forward_hook(lambda _module, _inputs, theta, row=row: self.see(theta, row))
        self.bad = torch.full((len(self.names),), -1, device=place.device)

    def see(self, x: Tensor, row: int = 0) -> None:
        """Look at the loss, or at the θ of a row."""
        new = (self.bad[row] < 0) & ~x.detach().isfinite().all()
        self.bad[row] = torch.where(new, self.step, self.bad[row])

    def check(self, advice: str) -> None:
        """Raise FloatingPointError if anything bad was seen since the start, in any process."""
        # the first is the cause of the rest; in one step, θ is that of the loss
        bad = [(step, -row) for row, step in enumerate(self.place.largest(self.bad).tolist()) if step >= 0]
        if bad:
            step, row = min(bad)
            raise FloatingPointError(f"{self.names[-row]} is not finite after {step} steps; training has stopped.\n  {advice}")
