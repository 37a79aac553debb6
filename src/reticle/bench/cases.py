"""Which calls are measured? Data only: a row here is a row of every table."""

from dataclasses import dataclass, replace

import torch

from ..schema import suggest

FORWARD, BOTH = "forward", "forward_backward"
TWICE = (FORWARD, BOTH)


@dataclass(frozen=True)
class Case:
    """One call of the sampler: shapes, where it reads, how, and who competes."""

    name: str
    what: str
    input: tuple[int, ...]
    """(B, C, *size)"""
    peers: tuple[str, ...]
    """Names in ``PEERS``; ``reticle`` and ``copy`` take part in every case."""
    output: tuple[int, ...] = ()
    """The output's size; the input's if empty."""
    where: str = "affine"
    """A name in ``inputs.WHERE``: the matrix, or the grid, that says where to read."""
    mode: str = "bilinear"
    padding_mode: str = "zeros"
    dtype: torch.dtype = torch.float32
    channels_last: bool = False
    passes: tuple[str, ...] = TWICE
    short: bool = False
    """Has a row in the README."""

    @property
    def size(self) -> tuple[int, ...]:
        """Of the output, without batch and channels."""
        return self.output or self.input[2:]

    @property
    def shape(self) -> str:
        """``16×3×448×448 → 224×224``."""
        out = f" → {'×'.join(map(str, self.output))}" if self.output else ""
        return "×".join(map(str, self.input)) + out


ALL = ("torch", "opencv", "kornia")
MAPS = ("torch", "kornia")  # OpenCV warps at most four channels at once
WIDE = ("torch", "torch_float32")  # torch's 16-bit form computes coordinates in 16 bits
NARROW = (*WIDE, "reticle_float32")
IMAGES = (8, 3, 224, 224)
PLANES = (8, 1, 224, 224)  # where there is least to gain: what is found out about a point serves but once

CASES = (
    Case("a", "MNIST-like canvas", (256, 1, 42, 42), ALL, short=True),
    Case("b1", "small colour images", (128, 3, 64, 64), (*ALL, "interpol", "scipy"), short=True),
    Case("b2", "feature maps", (128, 48, 32, 32), MAPS, short=True),
    Case("b3", "late feature maps", (128, 160, 8, 8), MAPS, short=True),
    Case("c1", "crop of photographs", (16, 3, 448, 448), (*ALL, "reticle_out"), output=(224, 224), where="crop", short=True),
    Case("c2", "crop of feature maps", (16, 192, 56, 56), MAPS, output=(28, 28), where="crop", short=True),
    Case("d", "one 4K image", (1, 3, 2160, 3840), (*ALL, "reticle_out"), short=True),
    Case("e1", "one volume", (1, 1, 160, 192, 224), ("torch", "simpleitk"), short=True),
    Case("e2", "volumes of features", (2, 16, 64, 64, 64), ("torch",), short=True),
    Case("b1_last", "b1, channels last", (128, 3, 64, 64), MAPS, channels_last=True),
    Case("b2_last", "b2, channels last", (128, 48, 32, 32), MAPS, channels_last=True),
    Case("b3_last", "b3, channels last", (128, 160, 8, 8), MAPS, channels_last=True),
    Case("c2_last", "c2, channels last", (16, 192, 56, 56), MAPS, output=(28, 28), where="crop", channels_last=True),
    Case("e2_last", "e2, channels last", (2, 16, 64, 64, 64), ("torch",), channels_last=True),
    Case("nearest", "nearest", IMAGES, ALL, mode="nearest"),
    Case("bicubic", "bicubic", IMAGES, ALL, mode="bicubic"),
    Case("bspline3", "cubic B-spline", (16, 3, 64, 64), ("interpol", "scipy"), mode="bspline3"),
    Case("border", "border padding", IMAGES, ALL, padding_mode="border"),
    Case("rot0", "no rotation, shifted", IMAGES, ALL, where="rot0"),
    Case("rot45", "45 degrees", IMAGES, ALL, where="rot45"),
    Case("rot90", "90 degrees", IMAGES, ALL, where="rot90"),
    Case("projective", "homographies", IMAGES, ALL, where="projective"),
    Case("smooth", "smooth grid, given", IMAGES, ("torch", "opencv"), where="smooth", short=True),
    Case("random", "random grid, given", IMAGES, ("torch", "opencv"), where="random"),
    Case("plane", "one plane, random grid", PLANES, ("torch", "opencv"), where="random"),
    Case("plane_nearest", "the same, nearest", PLANES, ("torch", "opencv"), where="random", mode="nearest"),
    Case("plane_bicubic", "the same, bicubic", PLANES, ("torch", "opencv"), where="random", mode="bicubic"),
    Case("plane_float64", "the same, bilinear in float64", PLANES, ("torch",), where="random", dtype=torch.float64),
    Case("alone", "one plane alone, random grid", (1, 1, 512, 512), ("torch", "opencv"), where="random"),
    Case("smooth_float64", "smooth grid in float64", IMAGES, ("torch",), where="smooth", dtype=torch.float64),
    Case("tps", "thin-plate spline, grid given", IMAGES, ("torch", "opencv"), where="tps"),
    Case("bfloat16", "b1 in bfloat16", (128, 3, 64, 64), NARROW, dtype=torch.bfloat16, short=True),
    Case("float16", "b1 in float16", (128, 3, 64, 64), NARROW, dtype=torch.float16),
    Case("uint8", "bytes", IMAGES, ("torch_float32", "opencv"), dtype=torch.uint8, passes=(FORWARD,)),
    Case("overhead", "what a call costs", (1, 1, 16, 16), ALL, short=True),
    Case("overhead_given", "the same, grid given", (1, 1, 16, 16), ("torch", "opencv"), where="smooth"),
)
_FOR_GPUS = ("a", "b1", "b2", "c1", "c2", "d", "e3")
_ALL = (*CASES, Case("e3", "two volumes", (2, 1, 160, 192, 224), ("torch",)))
GPU_CASES = tuple(
    replace(case, name=case.name + end, dtype=dtype, peers=peers)
    for case in _ALL
    if case.name in _FOR_GPUS
    for end, dtype, peers in (("", torch.float32, ("torch", "kornia", "compiled")), ("_bfloat16", torch.bfloat16, (*WIDE, "compiled")))
)
TINY = Case("tiny", "a trial of the benchmark itself", (2, 3, 9, 8), ("torch", "opencv"))  # not measured unless named
_ON_CPU = {case.name: case for case in (*CASES, TINY)}
ON_GPU = _ON_CPU | {case.name: case for case in GPU_CASES}
KNOWN = ON_GPU | _ON_CPU


def find_cases(names: str, device: str = "cpu") -> tuple[Case, ...]:
    """The cases of a list such as ``a,b1``; all of those for the device for an empty one."""
    known, default = (KNOWN, CASES) if device == "cpu" else (ON_GPU, GPU_CASES)
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name not in known:
            raise ValueError(f"bench: unknown case {name!r}. {suggest(name, known)}")
    return tuple(known[name] for name in wanted) or default
