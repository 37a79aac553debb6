"""How do the peers that know arrays, not tensors, do the same? Image by image, in their own layout, into fresh memory as torch does."""

import importlib
import itertools
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .contestant import ORDERS, Contestant, check_offer
from .inputs import Problem


def opencv(problem: Problem) -> Contestant:
    """``warpAffine``, ``warpPerspective``, ``remap`` on images ``(H, W, C)``; matrices map target to source in pixels."""
    cv2 = importlib.import_module("cv2")
    case = problem.case
    flags = {"nearest": cv2.INTER_NEAREST, "bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}
    check_offer(problem, flags, (torch.float32, torch.uint8))
    if len(case.size) != 2 or case.input[1] > 4:
        raise NotImplementedError("warps images of at most four channels")
    flag, border = flags[case.mode], {"zeros": cv2.BORDER_CONSTANT, "border": cv2.BORDER_REPLICATE}[case.padding_mode]
    channels = case.input[1:2] if case.input[1] > 1 else ()
    images = list(np.ascontiguousarray(problem.input.movedim(1, -1).reshape(case.input[0], *case.input[2:], *channels).numpy()))
    if problem.is_matrix:
        rows = 3 if problem.is_projective else 2
        maps: list[Any] = list(problem.pixel_matrix(problem.where)[:, :rows].numpy())
    else:
        maps = [tuple(np.ascontiguousarray(axis) for axis in image.unbind(-1)) for image in problem.pixels(problem.where).float()]

    def forward() -> np.ndarray:
        out = np.empty((len(images), *case.size, *channels), images[0].dtype)
        for image, where, target in zip(images, maps, out, strict=True):
            if not problem.is_matrix:
                cv2.remap(image, *where, flag, target, border)
            elif problem.is_projective:
                cv2.warpPerspective(image, where, case.size[::-1], target, flag | cv2.WARP_INVERSE_MAP, border)
            else:
                cv2.warpAffine(image, where, case.size[::-1], target, flag | cv2.WARP_INVERSE_MAP, border)
        return out

    return Contestant(forward, lambda out: torch.from_numpy(out.reshape(len(images), *case.size, -1)).movedim(-1, 1))


def scipy(problem: Problem) -> Contestant:
    """``affine_transform``, or ``map_coordinates`` at given points, plane by plane; axes in the order of the array."""
    ndimage = importlib.import_module("scipy.ndimage")
    case = problem.case
    check_offer(problem, ORDERS)
    if problem.is_projective:
        raise NotImplementedError("has no homographies")
    order, mode = ORDERS[case.mode], {"zeros": "grid-constant", "border": "nearest"}[case.padding_mode]
    images = problem.input.contiguous().numpy()
    if problem.is_matrix:
        maps: list[Any] = [(m[-2::-1, -2::-1], m[-2::-1, -1]) for m in problem.pixel_matrix(problem.where).numpy()]
    else:
        maps = [np.ascontiguousarray(points.flip(-1).movedim(-1, 0)) for points in problem.pixels(problem.where)]

    def forward() -> np.ndarray:
        out = np.empty((*case.input[:2], *case.size), images.dtype)
        for b, c in itertools.product(*map(range, case.input[:2])):
            how = {"output": out[b, c], "order": order, "mode": mode, "prefilter": False}
            if problem.is_matrix:
                ndimage.affine_transform(images[b, c], *maps[b], case.size, **how)
            else:
                ndimage.map_coordinates(images[b, c], maps[b], **how)
        return out

    return Contestant(forward, torch.from_numpy)


def simpleitk(problem: Problem) -> Contestant:
    """``Resample`` under an ``AffineTransform``, which maps target to source in physical units: here, pixels."""
    sitk = importlib.import_module("SimpleITK")
    case, ndim = problem.case, len(problem.case.size)
    interpolators = {"nearest": sitk.sitkNearestNeighbor, "bilinear": sitk.sitkLinear}
    check_offer(problem, interpolators)
    if case.padding_mode == "border" or not problem.is_matrix or problem.is_projective:
        raise NotImplementedError("resamples under affine maps, with a constant outside")
    interpolator = interpolators[case.mode]
    images = [sitk.GetImageFromArray(np.ascontiguousarray(plane)) for plane in problem.input.flatten(0, 1)]
    maps = []
    for matrix in problem.pixel_matrix(problem.where).numpy():
        transform = sitk.AffineTransform(ndim)
        transform.SetMatrix(matrix[:-1, :-1].flatten().tolist())
        transform.SetTranslation(matrix[:-1, -1].tolist())
        maps += [transform] * case.input[1]
    frame = ((0.0,) * ndim, (1.0,) * ndim, np.eye(ndim).flatten().tolist(), 0.0)

    def forward() -> list[Any]:
        return [sitk.Resample(i, case.size[::-1], t, interpolator, *frame, i.GetPixelID()) for i, t in zip(images, maps, strict=True)]

    def output(results: list[Any]) -> Tensor:
        planes = torch.stack([torch.from_numpy(sitk.GetArrayFromImage(image)) for image in results])
        return planes.unflatten(0, case.input[:2])

    return Contestant(forward, output, inside_only=True)


def set_opencv_threads(n: int) -> None:
    """OpenCV has a pool of its own."""
    importlib.import_module("cv2").setNumThreads(n)


def set_simpleitk_threads(n: int) -> None:
    """ITK, too."""
    importlib.import_module("SimpleITK").ProcessObject.SetGlobalDefaultNumberOfThreads(n)
