"""How does a network look at one image several times, at another place each time? A recurrent localiser, and the transformer around it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .checks import check_positive_int, check_shape
from .modules import Localizer, SpatialTransformer, Warp
from .transforms import AbstractTransform


class RecurrentLocalizer(nn.Module):
    r"""A localisation network that answers ``steps`` times: the same features go into a recurrent unit at each step.

    .. math:: h_t = \mathrm{GRU}(f(x), h_{t-1}), \qquad \theta_t = W h_t + b, \qquad h_0 = 0

    The head is that of a :class:`Localizer`: zero weights, and ``transform.identity()`` as bias, or ``start``: there each step starts.
    What is seen at one step is not fed back into the next.

    Args:
        features: any network; its output is flattened to ``(B, num_features)``. It runs once.
        num_features: the length of that output.
        transform: the family whose ``theta`` is predicted.
        steps: how many times to look, T.
        hidden: length of the recurrent unit's state.
        start: ``(P,)``, another place to start from than the identity, such as a window in the middle.
    Raises:
        ValueError: at construction, a number is not positive, or ``start`` has the wrong shape; when called, ``features`` gives another
            length.
        TypeError: ``transform`` is not a transform.

    >>> localizer = RecurrentLocalizer(nn.Flatten(), 16, Attention(), steps=2, hidden=8)
    >>> tuple(localizer(torch.rand(5, 1, 4, 4)).shape)
    (5, 2, 3)

    Reference: Sønderby et al. 2015, sec. 2.
    """

    def __init__(
        self,
        features: nn.Module,
        num_features: int,
        transform: AbstractTransform,
        *,
        steps: int,
        hidden: int = 256,
        start: Tensor | None = None,
    ) -> None:
        super().__init__()
        check_positive_int("RecurrentLocalizer", "num_features", num_features)
        check_positive_int("RecurrentLocalizer", "steps", steps)
        check_positive_int("RecurrentLocalizer", "hidden", hidden)
        self.features, self.steps = features, steps
        self.recurrent = nn.GRU(num_features, hidden, batch_first=True)
        self.localizer = Localizer(nn.Identity(), hidden, transform, start)

    def forward(self, x: Tensor) -> Float[Tensor, "b t p"]:
        """Predict ``theta (B, T, P)``, one row for each step."""
        features = self.features(x).flatten(1)
        want = self.recurrent.input_size
        check_shape("RecurrentLocalizer", "features(x)", features, "B F", F=want, hint="F is `num_features` as given.")
        states, _ = self.recurrent(features[:, None].expand(-1, self.steps, -1))
        return self.localizer(states.flatten(0, 1)).unflatten(0, states.shape[:2])

    def extra_repr(self) -> str:
        """What ``print(localizer)`` shows besides its parts."""
        return f"steps={self.steps}"


class RecurrentSpatialTransformer(nn.Module):
    r"""A layer that looks at its input several times, each time through another window.

    .. math:: \theta_1, \ldots, \theta_T = f_{loc}(U), \qquad V_t = \mathrm{sample}(U, T_{\theta_t}(G))

    Every step reads the input itself, never another step's output. What follows may treat the steps as one batch:
    ``classifier(st(x).flatten(0, 1))``.

    Args:
        transformer: a :class:`SpatialTransformer` whose localiser answers with ``theta (B, T, P)``, such as a :class:`RecurrentLocalizer`;
            transform, output size, sampler are its own.
    Raises:
        TypeError: ``transformer`` is not a SpatialTransformer.
        ValueError: when called, the localiser's answer has the wrong shape.
    Gradients:
        To the input, and through each ``theta`` to the localiser.

    >>> transform = Affine()
    >>> localizer = RecurrentLocalizer(nn.Flatten(), 64, transform, steps=3, hidden=16)
    >>> st = RecurrentSpatialTransformer(SpatialTransformer(localizer, transform, output_size=(4, 4)))
    >>> tuple(st(torch.rand(5, 1, 8, 8)).shape)
    (5, 3, 1, 4, 4)

    Reference: Sønderby et al. 2015, sec. 2.
    """

    def __init__(self, transformer: SpatialTransformer) -> None:
        super().__init__()
        if not isinstance(transformer, SpatialTransformer):
            fix = "Give SpatialTransformer(RecurrentLocalizer(...), transform)."
            raise TypeError(f"RecurrentSpatialTransformer: `transformer` must be a SpatialTransformer; got {transformer!r}.\n  {fix}")
        self.transformer = transformer

    def forward(self, x: Float[Tensor, "b c *size"]) -> Float[Tensor, "b t c *out"]:
        """The windows, in the order of the steps."""
        return torch.stack([warp.output for warp in self.warp(x)], dim=1)

    def warp(self, x: Float[Tensor, "b c *size"]) -> tuple[Warp, ...]:
        """What was done at each step."""
        theta = self.transformer.localizer(x)
        params = self.transformer.transform.num_params
        hint = "The localiser must answer for each step; RecurrentLocalizer does."
        check_shape("RecurrentSpatialTransformer", "theta", theta, "B T P", B=x.shape[0], P=params, hint=hint)
        return tuple(self.transformer.sample(x, step) for step in theta.unbind(1))
