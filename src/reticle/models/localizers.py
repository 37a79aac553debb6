"""How else can θ be found? By looking again through the window found so far; or from what the classifier's own layers see."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from ..checks import check_positive_int
from ..grid import product, to_homogeneous
from ..modules import SpatialTransformer
from ..transforms import AbstractTransform, Affine


class RefiningLocalizer(nn.Module):
    r"""Look several times: each look sees the image through the window found so far and corrects it.

    .. math:: \theta_0 = f(U), \qquad \theta_{n+1} = \theta_n \circ f(\mathrm{sample}(U, T_{\theta_n}(G)))

    One network ``f`` makes all looks. The image itself is sampled each time, so that what left a window can come back. Affine maps are
    composed as matrices; the parameters of other families add up, as far as they differ from the identity.

    Args:
        localizer: the network ``f``, from images to θ; at the start it says the identity.
        transform: the family of θ; one that has an identity.
        looks: how many, the first among them.
        sampler: further arguments of :class:`reticle.SpatialTransformer`: what a look sees is read as they say.
    Raises:
        ValueError: ``looks`` is no positive number, or the family has no identity.

    >>> family = Affine()
    >>> twice = RefiningLocalizer(Localizer(nn.Flatten(), 64, family), family, looks=2)
    >>> _ = nn.init.constant_(twice.localizer.head.bias, 0.0)
    >>> with torch.no_grad():
    ...     twice.localizer.head.bias[[0, 4]] = 0.5  # each look zooms in by two
    >>> twice(torch.rand(1, 1, 8, 8)).tolist()
    [[0.25, 0.0, 0.0, 0.0, 0.25, 0.0]]

    Reference: Lin & Lucey 2017, eq. (6); Finnveden, Jansson & Lindeberg 2020, sec. 3.
    """

    def __init__(self, localizer: nn.Module, transform: AbstractTransform, *, looks: int = 2, **sampler: Any) -> None:
        super().__init__()
        check_positive_int("RefiningLocalizer", "looks", looks)
        if not transform.has_identity:
            raise ValueError(f"RefiningLocalizer: `transform` must contain the identity, or no correction is none; got {transform!r}.")
        self.localizer, self.transform, self.looks = localizer, transform, looks
        looking = SpatialTransformer(nn.Identity(), transform, **sampler)
        # in a tuple, where torch does not look for parts: it is given θ and is no transformer of the network
        self._sampler = (looking,)
        # but what it learns is learnt here
        if isinstance(looking.mode, nn.Module):
            self.mode = looking.mode
        if isinstance(looking.value, nn.Parameter):
            self.value = looking.value

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b p"]:
        """θ after the last look."""
        theta, (sampler,) = self.localizer(x), self._sampler
        for _ in range(self.looks - 1):
            theta = self._after(theta, self.localizer(sampler.sample(x, theta).output))
        return theta

    def _after(self, theta: Tensor, correction: Tensor) -> Tensor:
        """The window ``correction``, seen through the window ``theta``."""
        if not isinstance(self.transform, Affine):
            return theta + (correction - self.transform.identity().to(correction))
        first, second = (self.transform.matrix(t) for t in (theta, correction))
        return product(first, to_homogeneous(second)).flatten(1)

    def extra_repr(self) -> str:
        """What ``print(localizer)`` shows."""
        return f"looks={self.looks}"


class SharedFeatures(nn.Module):
    """What some layers of another network see, as features for a localiser; the layers stay the other network's.

    They are neither saved twice nor given the localiser's learning rate, and learn from both uses; batch normalisation in them averages
    over both.

    Args:
        layers: modules of the network, in order.
        own: what comes after them and is the localiser's alone.

    Reference: Finnveden, Jansson & Lindeberg 2020, sec. 3 (localisation networks that share layers with the classifier).
    """

    def __init__(self, layers: list[nn.Module], own: nn.Module) -> None:
        super().__init__()
        # in a list, where torch does not look for parts
        self._layers = layers
        self.own = own

    def forward(self, x: Float[Tensor, "b c h w"]) -> Tensor:
        """Features ``(B, ...)``."""
        for layer in self._layers:
            x = layer(x)
        features: Tensor = self.own(x)
        return features
