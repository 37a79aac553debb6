"""Learnable warps for PyTorch: layers that learn where to look and how to straighten what they see.

Read in this order: grid.py, transforms/base.py, transforms/affine.py, sampling/reference.py, modules.py.

Names are loaded when first used, so that ``import reticle`` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .data import DATASETS as DATASETS
    from .data import DISTORTIONS as DISTORTIONS
    from .grid import apply_matrix as apply_matrix
    from .grid import base_grid as base_grid
    from .grid import norm_to_pixel as norm_to_pixel
    from .grid import pixel_to_norm as pixel_to_norm
    from .models import MODELS as MODELS
    from .models import ContrastNorm as ContrastNorm
    from .models import GlobalNorm as GlobalNorm
    from .modules import Localizer as Localizer
    from .modules import ParallelTransformers as ParallelTransformers
    from .modules import SpatialTransformer as SpatialTransformer
    from .modules import Warp as Warp
    from .recurrent import RecurrentLocalizer as RecurrentLocalizer
    from .recurrent import RecurrentSpatialTransformer as RecurrentSpatialTransformer
    from .sampling import MODES as MODES
    from .sampling import PADDING_MODES as PADDING_MODES
    from .sampling import Mode as Mode
    from .sampling import explain as explain
    from .sampling import grid_sample as grid_sample
    from .sampling import prefilter as prefilter
    from .sampling import use_backend as use_backend
    from .sampling import warp as warp
    from .tasks import TASKS as TASKS
    from .transforms import TRANSFORMS as TRANSFORMS
    from .transforms import AbstractMatrixTransform as AbstractMatrixTransform
    from .transforms import AbstractTransform as AbstractTransform
    from .transforms import Affine as Affine
    from .transforms import Attention as Attention
    from .transforms import Compose as Compose
    from .transforms import Projective as Projective
    from .transforms import Restricted as Restricted
    from .transforms import Rigid as Rigid
    from .transforms import Similarity as Similarity
    from .transforms import ThinPlateSpline as ThinPlateSpline
    from .transforms import Translation as Translation

_HOME = {
    "data": ("DATASETS", "DISTORTIONS"),
    "grid": ("apply_matrix", "base_grid", "norm_to_pixel", "pixel_to_norm"),
    "models": ("MODELS", "ContrastNorm", "GlobalNorm"),
    "modules": ("Localizer", "ParallelTransformers", "SpatialTransformer", "Warp"),
    "recurrent": ("RecurrentLocalizer", "RecurrentSpatialTransformer"),
    "sampling": ("MODES", "PADDING_MODES", "Mode", "explain", "grid_sample", "prefilter", "use_backend", "warp"),
    "tasks": ("TASKS",),
    "transforms": (
        *("TRANSFORMS", "AbstractMatrixTransform", "AbstractTransform", "Affine", "Attention", "Compose"),
        *("Projective", "Restricted", "Rigid", "Similarity", "ThinPlateSpline", "Translation"),
    ),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}
__all__ = sorted([*_MODULE_OF, "__version__"])


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("reticle")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'reticle' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)
    globals()[name] = value  # the next look-up finds it at once
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
