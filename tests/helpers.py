"""What tests share: tolerances, points on and off the kinks, the sampler once more, in loops over scalars; a recipe of the fewest lines.

Nothing here uses the library's arithmetic: the oracle and the grids are written from the paper and from the conventions alone.
"""

import itertools
import math
import os
from contextlib import contextmanager

import torch
from torch import Tensor

from reticle import MODES, PADDING_MODES
from reticle.sampling import BACKENDS, Spec

TOL = {  # loosening one is a reviewed change with a reason
    torch.float64: {"rtol": 1e-9, "atol": 1e-10},
    torch.float32: {"rtol": 2e-5, "atol": 2e-6},
    torch.float16: {"rtol": 1e-3, "atol": 1e-3},
    torch.bfloat16: {"rtol": 8e-3, "atol": 8e-3},
}
GRADIENT_TOL = {**TOL, torch.float32: {"rtol": 2e-4, "atol": 2e-4}}  # slopes are differences of pixels times the size: rounding grows

WILD = (math.nan, math.inf, -math.inf, 1e30, -1e30, 3e38, -3e38, 1e10, -1e10)

SIZES = {1: ((5,), (1,)), 2: ((4, 5), (1, 3), (1, 1)), 3: ((2, 3, 4), (3, 1, 2))}
OUT = {1: (6,), 2: (2, 3), 3: (2, 1, 3)}
# sizes whose pixel centres are exact in binary, in normalised coordinates
EXACT = {(1, False): (8,), (2, False): (4, 8), (3, False): (4, 2, 8), (1, True): (5,), (2, True): (3, 5), (3, True): (3, 2, 5)}

DEVICE = os.environ.get("RETICLE_TEST_DEVICE", "cpu")  # of --device
CALLS = list(itertools.product(sorted(MODES), sorted(PADDING_MODES), (False, True)))

RECIPE = """\
source: {cite: someone, where: somewhere}
seed: 0
data: {name: digits}
model: {name: cnn}
optimizer: {name: sgd}
train: {steps: 2, batch_size: 4, lr: 0.1}
"""


@contextmanager
def threads(count: int):
    """Torch with so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def able(
    ndim: int = 2, dtype: torch.dtype = torch.float64, *, but: str | None = None, device: str = DEVICE
) -> list[tuple[str, str, str, bool]]:
    """What each backend does not refuse: (backend, mode, padding_mode, align_corners)."""
    return [(b.name, *call) for b in BACKENDS if b.name != but for call in CALLS if b.refuses(Spec(device, dtype, ndim, *call)) is None]


def to_norm(pixel: Tensor, n: int, align_corners: bool) -> Tensor:
    """Pixel coordinates as a grid holds them; along one pixel with corners aligned they mean nothing and pass as they are."""
    if align_corners:
        return 2 * pixel / (n - 1) - 1 if n > 1 else pixel
    return (2 * pixel + 1) / n - 1


def off_kink_grid(batch: int, out, size, *, align_corners: bool = False, dtype=torch.float64, margin: float = 0.1) -> Tensor:
    """Random points ``(batch, *out, D)`` inside and up to two pixels outside, ``margin`` pixels from every centre and edge of a pixel."""
    axes = []
    for n in reversed(size):
        cell = torch.randint(-2, n + 2, (batch, *out))
        half = torch.randint(0, 2, (batch, *out)) / 2
        pixel = cell + half + margin + (0.5 - 2 * margin) * torch.rand(batch, *out, dtype=torch.float64)
        axes.append(to_norm(pixel, n, align_corners))
    return torch.stack(axes, dim=-1).to(dtype)


def on_kink_grid(batch: int, out, size, *, align_corners: bool = False, dtype=torch.float64) -> Tensor:
    """Random pixel centres ``(batch, *out, D)``, inside and up to two pixels outside."""
    axes = [to_norm(torch.randint(-2, n + 2, (batch, *out)).double(), n, align_corners) for n in reversed(size)]
    return torch.stack(axes, dim=-1).to(dtype)


def _sinc(x: float) -> float:
    return math.sin(math.pi * x) / (math.pi * x) if x else 1.0


def _keys(d: float) -> float:
    return 1.25 * d**3 - 2.25 * d**2 + 1 if d <= 1 else -0.75 * d**3 + 3.75 * d**2 - 6 * d + 3


def _bspline3(d: float) -> float:
    return (4 - 6 * d**2 + 3 * d**3) / 6 if d <= 1 else (2 - d) ** 3 / 6


# weight by distance, pixels that count, divide by the sum
KERNELS = {
    "nearest": (lambda d: 1.0, 1, False),
    "bilinear": (lambda d: max(0.0, 1 - abs(d)), 2, False),
    "bicubic": (lambda d: _keys(abs(d)), 4, False),
    "bspline3": (lambda d: _bspline3(abs(d)), 4, False),
    "lanczos3": (lambda d: _sinc(d) * _sinc(d / 3), 6, True),
    "gaussian": (lambda d: math.exp(-(d**2) / (2 * 0.5**2)), 6, True),
}


def _pixel(g: float, n: int, align_corners: bool) -> float:
    return (g + 1) / 2 * (n - 1) if align_corners else ((g + 1) * n - 1) / 2


def _source(m: int, n: int, padding_mode: str, align_corners: bool) -> int | None:
    """Which pixel tap ``m`` reads; None: the fill."""
    if 0 <= m < n:
        return m
    if padding_mode in ("zeros", "constant"):
        return None
    if padding_mode == "border":
        return 0 if m < 0 else n - 1
    if padding_mode == "wrap":
        return m % n
    while n > 1 and not 0 <= m < n:
        low, high = (0, 2 * (n - 1)) if align_corners else (-1, 2 * n - 1)
        m = low - m if m < 0 else high - m
    return m if n > 1 else 0


def _taps(g: float, n: int, mode: str, padding_mode: str, align_corners: bool) -> list[tuple[int | None, float]]:
    """(pixel or None, weight) for each pixel that counts along one axis."""
    if not math.isfinite(g):
        return [(None if padding_mode in ("zeros", "constant") else 0, 1.0)]
    phi, support, normalise = KERNELS[mode]
    x = _pixel(g, n, align_corners)
    if abs(x) > 1e6 and padding_mode in ("zeros", "constant", "border"):
        x = math.copysign(1e6, x)  # as far outside as the point was
    near = range(math.floor(x) - support, math.floor(x) + support + 2)
    taps = [(m, phi(x - m)) for m in near if -support / 2 <= x - m < support / 2]
    total = sum(w for _, w in taps) if normalise else 1.0
    return [(_source(m, n, padding_mode, align_corners), w / total) for m, w in taps]


def oracle(image: Tensor, grid: Tensor, mode: str, padding_mode: str, align_corners: bool, value=0.0) -> Tensor:
    """Eq. (3) for one image ``(C, *S)`` at ``grid (*O, D)``: ``(C, *O)`` in float64."""
    channels, size = image.shape[0], image.shape[1:]
    values = [float(v) for v in torch.as_tensor(value, dtype=torch.float64).expand(channels)]
    points = grid.double().flatten(0, -2).tolist()
    output = torch.zeros(channels, len(points), dtype=torch.float64)
    for p, point in enumerate(points):
        axes = [_taps(g, n, mode, padding_mode, align_corners) for g, n in zip(reversed(point), size, strict=True)]
        for c in range(channels):
            fill = values[c] if padding_mode == "constant" else 0.0
            terms = []
            for combination in itertools.product(*axes):
                index = tuple(i for i, _ in combination)
                read = fill if None in index else float(image[(c, *index)])
                terms.append(read * math.prod(w for _, w in combination))
            output[c, p] = math.fsum(terms) if all(map(math.isfinite, terms)) else sum(terms)
    return output.unflatten(1, grid.shape[:-1])


def oracle_batch(image: Tensor, grid: Tensor, *call, value=0.0) -> Tensor:
    """:func:`oracle` sample by sample."""
    return torch.stack([oracle(i, g, *call, value=value) for i, g in zip(image, grid, strict=True)])
