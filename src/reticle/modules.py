"""How does a network learn where to look? The spatial transformer: localise, make the grid, sample."""

from collections.abc import Callable, Iterator, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from .checks import check_batch, check_bool, check_finite, check_floating, check_numbers, check_positive_int, check_shape, check_size
from .grid import base_grid, coordinate_dtype, extent
from .sampling import PADDING_MODES, Mode, find_backend, find_mode, grid_sample, warp
from .transforms import AbstractMatrixTransform, AbstractTransform

_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


class Warp:
    """What a spatial transformer did: ``output``, ``theta`` and the sampling ``grid``; unpacks into the three.

    The grid is computed when asked for: training does not need it. Pickles and copies hold all three, cut off from the graph.
    """

    def __init__(self, output: Tensor, theta: Tensor, make_grid: Callable[[], Tensor]) -> None:
        self.output, self.theta = output, theta
        self._make_grid = make_grid
        self._grid: Tensor | None = None

    @property
    def grid(self) -> Tensor:
        """Where each output pixel was read from: normalised source points ``(B, *out, D)``."""
        if self._grid is not None:
            return self._grid
        grid = self._make_grid()
        if torch.is_grad_enabled() or not self.theta.requires_grad:  # else a look at it, as for a log, would cut it off for good
            self._grid = grid
        return grid

    def __iter__(self) -> Iterator[Tensor]:
        return iter((self.output, self.theta, self.grid))

    def __getstate__(self) -> dict[str, object]:
        # neither the graph nor the closure can be pickled or copied
        return {"output": self.output.detach(), "theta": self.theta.detach(), "_grid": self.grid.detach()}

    def __repr__(self) -> str:
        return f"Warp(output={tuple(self.output.shape)}, theta={tuple(self.theta.shape)})"


class Localizer(nn.Module):
    """The localisation network: ``theta = head(features(x))``, exactly the identity at the start.

    The head is one linear layer with zero weights; its bias is ``transform.identity()``, or ``start``.

    Args:
        features: any network; its output is flattened to ``(B, num_features)``.
        num_features: the length of that output.
        transform: the family whose ``theta`` is predicted.
        start: ``(P,)``, another place to start from, such as one tile of the image for each of several parallel transformers.
    Raises:
        ValueError: at construction, ``start`` has the wrong shape; when called, ``features`` gives another length.
        TypeError: ``transform`` is not a transform; when called, ``features`` answers in another dtype than the weights have.

    >>> localizer = Localizer(nn.Flatten(), 16, Attention())
    >>> localizer(torch.rand(2, 1, 4, 4))
    tensor([[0., 0., 0.],
            [0., 0., 0.]], grad_fn=<AddmmBackward0>)

    Reference: Jaderberg et al. 2015, sec. 3.1 and A.4.
    """

    def __init__(self, features: nn.Module, num_features: int, transform: AbstractTransform, start: Tensor | None = None) -> None:
        super().__init__()
        if not isinstance(features, nn.Module):
            raise TypeError(f"Localizer: `features` must be a network, an nn.Module; got {features!r}.")
        _check_transform("Localizer", transform)
        check_positive_int("Localizer", "num_features", num_features)
        if start is not None:
            check_shape("Localizer", "start", start, "P", P=transform.num_params)
        self.features = features
        self.head = nn.Linear(num_features, transform.num_params)
        nn.init.zeros_(self.head.weight)
        with torch.no_grad():
            self.head.bias.copy_(transform.identity() if start is None else start)

    def forward(self, x: Tensor) -> Float[Tensor, "b p"]:
        """Predict ``theta (B, P)`` for a batch."""
        features = self.features(x).flatten(1)
        check_shape("Localizer", "features(x)", features, "B F", F=self.head.in_features, hint="F is `num_features` as given to Localizer.")
        self._check_dtype(features)
        return self.head(features)

    def _check_dtype(self, features: Tensor) -> None:
        want = next(self.head.parameters(), features).dtype  # a quantised head has no parameters and takes what it can
        narrow = features.dtype.is_floating_point and features.dtype != torch.float64
        if features.dtype == want or (narrow and torch.is_autocast_enabled(features.device.type)):
            return  # autocast converts all but double
        raise TypeError(
            f"Localizer: `features(x)` must have the dtype of the weights, {want}; got {features.dtype}.\n"
            f"  Convert the input with x.to({want}), or the module."
        )


class SpatialTransformer(nn.Module):
    r"""A layer that looks where its localiser tells it to.

    .. math:: \theta = f_{loc}(U), \qquad V = \mathrm{sample}(U, T_\theta(G))

    It owns transform, output size and sampler together, so that grid and sampler cannot disagree on ``align_corners``. Put several
    in depth like any layer; in parallel with :class:`ParallelTransformers`; hand ``theta`` on with :meth:`warp`.

    Args:
        localizer: any module from the input to ``theta (B, P)``; usually a :class:`Localizer`.
        transform: the family of maps, such as ``Affine()``.
        output_size: ``(W,)``, ``(H, W)`` or ``(D, H, W)`` of the output; the input's if None.
        mode, padding_mode, value, align_corners, backend: as for :func:`reticle.grid_sample`. A ``value`` that is a tensor moves with the
            module; an ``nn.Parameter`` is learnt.
        antialias: sample so many times denser along each axis and average. With more than 1 shrinking does not alias, and the
            identity is no longer exact.
    Raises:
        ValueError: an argument is out of range; when called, ``theta`` has the wrong shape.
        TypeError: ``transform`` is not a transform (a class, such as ``Affine`` for ``Affine()``), ``localizer`` not a module,
            ``align_corners`` neither True nor False, or ``value`` no real numbers.
    Gradients:
        To the input, and through ``theta`` to the localiser.

    >>> transform = Similarity()
    >>> features = nn.Sequential(nn.Conv2d(1, 8, 7, stride=2), nn.ReLU(), nn.Flatten())
    >>> st = SpatialTransformer(Localizer(features, 8 * 11 * 11, transform), transform)
    >>> x = torch.rand(4, 1, 28, 28)
    >>> torch.allclose(st(x), x, atol=1e-5)  # starts as the identity
    True
    >>> output, theta, grid = st.warp(x)
    >>> tuple(theta.shape), tuple(grid.shape)
    ((4, 4), (4, 28, 28, 2))

    Reference: Jaderberg et al. 2015, sec. 3; A.4 for the denser sampling.
    """

    def __init__(
        self,
        localizer: nn.Module,
        transform: AbstractTransform,
        *,
        output_size: Sequence[int] | None = None,
        mode: str | Mode = "bilinear",
        padding_mode: str = "zeros",
        value: float | Sequence[float] | Tensor = 0.0,
        align_corners: bool = False,
        antialias: int = 1,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        fn = "SpatialTransformer"
        _check_transform(fn, transform)
        if not isinstance(localizer, nn.Module):
            raise TypeError(f"{fn}: `localizer` must be a module; got {localizer!r}.")
        check_positive_int(fn, "antialias", antialias)
        check_bool(fn, "align_corners", align_corners)
        self.output_size = None if output_size is None else check_size(fn, "output_size", output_size, transform.ndim)
        # an unknown name is an error here, not at the first batch
        find_mode(mode), PADDING_MODES[padding_mode], find_backend(backend)
        if padding_mode == "constant":
            check_numbers(fn, "value", value)
            check_finite(fn, "value", value)
        self.localizer, self.transform, self.mode = localizer, transform, mode
        self.padding_mode, self.align_corners = padding_mode, align_corners
        self.antialias, self.backend = antialias, backend
        if isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
            # so that it moves with the module; no weight to save: it is an argument
            self.register_buffer("value", value, persistent=False)
        else:
            self.value = value

    def forward(self, x: Float[Tensor, "b c *size"]) -> Float[Tensor, "b c *out"]:
        """The warped input."""
        return self.warp(x).output

    def warp(self, x: Float[Tensor, "b c *size"]) -> Warp:
        """As :meth:`forward`, but keeps ``theta`` and the ``grid``: the same numbers."""
        self._check_input(x)
        return self.sample(x, self.localizer(x))

    def sample(self, x: Float[Tensor, "#b c *size"], theta: Float[Tensor, "#b p"]) -> Warp:
        """Warp ``x`` by a ``theta`` from elsewhere: masks by the image's, an image by one predicted from deeper features."""
        self._check_input(x)
        check_floating("SpatialTransformer", "theta", theta)
        check_shape("SpatialTransformer", "theta", theta, "B P", P=self.transform.num_params)
        check_batch("SpatialTransformer", "x", x, "theta", theta)
        # under autocast the localiser may answer in 16 bits; coordinates need more
        theta = theta.to(coordinate_dtype(theta.dtype))
        size = tuple(max(extent(n, align_corners=self.align_corners), 1) for n in x.shape[2:])
        out = self.output_size or tuple(x.shape[2:])
        dense = tuple(n * self.antialias for n in out)

        def grid(resolution: tuple[int, ...]) -> Tensor:
            target = base_grid(resolution, align_corners=self.align_corners, dtype=theta.dtype, device=x.device)
            return self.transform(theta, target, size)

        if isinstance(self.transform, AbstractMatrixTransform):
            matrix = self.transform.matrix(theta, size)
            output = warp(x, matrix, dense, self.mode, self.padding_mode, self.align_corners, value=self.value, backend=self.backend)
        else:
            source = grid(dense)
            output = grid_sample(x, source, self.mode, self.padding_mode, self.align_corners, value=self.value, backend=self.backend)
        if self.antialias > 1:
            output = _POOL[self.transform.ndim](output, self.antialias)
        return Warp(output, theta, lambda: grid(out))

    def _check_input(self, x: Tensor) -> None:
        check_floating("SpatialTransformer", "x", x)
        if x.ndim != self.transform.ndim + 2:
            axes = {1: "(B, C, W)", 2: "(B, C, H, W)", 3: "(B, C, D, H, W)"}[self.transform.ndim]
            raise ValueError(f"SpatialTransformer: `x` must have shape {axes} for {type(self.transform).__name__}; got {tuple(x.shape)}.")

    def extra_repr(self) -> str:
        """What ``print(st)`` shows besides its parts."""
        shown = {"output_size": None, "mode": "bilinear", "padding_mode": "zeros", "value": 0.0}
        shown |= {"align_corners": False, "antialias": 1, "backend": "auto"}
        # as text: values of several numbers do not compare to one answer
        named = [f"{name}={getattr(self, name)!r}" for name, default in shown.items() if repr(getattr(self, name)) != repr(default)]
        return ", ".join(n for n in named if not n.startswith("mode=Mode"))


class ParallelTransformers(nn.Module):
    """Several transformers looking at one input, their outputs side by side in channels.

    Args:
        transformers: at least one :class:`SpatialTransformer`, with outputs of one size.
    Raises:
        ValueError: ``transformers`` are none, or no SpatialTransformer; when called, the outputs differ in size.

    >>> def look():
    ...     return SpatialTransformer(Localizer(nn.Flatten(), 16, Attention()), Attention(), output_size=(2, 2))
    >>> both = ParallelTransformers(look(), look())
    >>> tuple(both(torch.rand(3, 1, 4, 4)).shape)
    (3, 2, 2, 2)

    Reference: Jaderberg et al. 2015, sec. 3.4 and A.1.
    """

    def __init__(self, *transformers: SpatialTransformer) -> None:
        super().__init__()
        if not transformers or not all(isinstance(t, SpatialTransformer) for t in transformers):
            raise ValueError(f"ParallelTransformers: `transformers` must be one or more SpatialTransformer; got {transformers!r}.")
        self.transformers = nn.ModuleList(transformers)

    def forward(self, x: Float[Tensor, "b c *size"]) -> Float[Tensor, "b k *out"]:
        """The warped inputs, concatenated over channels."""
        outputs = [w.output for w in self.warp(x)]
        sizes = [tuple(output.shape[2:]) for output in outputs]
        if any(size != sizes[0] for size in sizes):
            listed = ", ".join(map(str, sizes))
            fix = "Give each the same output_size, or call .warp(x), which leaves the outputs apart."
            raise ValueError(f"ParallelTransformers: `transformers` must have outputs of one size; got {listed}.\n  {fix}")
        return torch.cat(outputs, dim=1)

    def warp(self, x: Float[Tensor, "b c *size"]) -> tuple[Warp, ...]:
        """What each transformer did."""
        return tuple(cast(SpatialTransformer, st).warp(x) for st in self.transformers)


def _check_transform(fn: str, transform: object) -> None:
    if not isinstance(transform, AbstractTransform):
        raise TypeError(f"{fn}: `transform` must be a transform, such as Affine(); got {transform!r}.")
