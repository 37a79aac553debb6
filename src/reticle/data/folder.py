"""A folder of images in one subfolder for each class: which files are there, and what is each?"""

from collections.abc import Sequence
from pathlib import Path

from .decode import ImageFile
from .distorted import DATASETS
from .labelled import LabelledImages, Weights
from .sources import TEST_NAMES, TRAIN, Listed, Options, find_path, load_listed, tell_left_out

SUFFIXES = frozenset(".bmp .gif .jpeg .jpg .jfif .pbm .pgm .png .pnm .ppm .tif .tiff .webp .avif".split())


@DATASETS.register("folder")
def folder(
    path: str | Path,
    *,
    test_path: str | Path | None = None,
    size: int | Sequence[int] = 48,
    color: bool = True,
    fit: str = "stretch",
    test_share: float = 0.2,
    split_seed: int = 0,
    class_weights: Weights = None,
    limit: int | None = None,
    on_error: str = "stop",
    workers: int | None = None,
    cache: bool = True,
    data_dir: Path | str | None = None,
) -> LabelledImages:
    """Images in folders named after their classes: ``path/cat/1.jpg``, ``path/dog/x/2.png``.

    The test images are those of ``test_path``, or, where there is a ``path/train``, of the first of ``path/test``, ``path/val``,
    ``path/valid`` and ``path/validation`` (the others are left out, with a line that counts them), or else a share of each class, drawn
    at random. Hidden files and files that are no images by their suffix are
    passed over. Each image is decoded once, upright, as :func:`reticle.data.decode_image` says; the pixels are kept in the cache.

    Args:
        path: the folder; relative to the working folder, or to ``data_dir``.
        test_path: another one, with the same classes.
        size: side, or (H, W), of the images that come out, in pixels.
        color: three channels; one if False.
        fit: what is done about other proportions: ``stretch``, ``crop`` or ``pad``.
        test_share: part of each class, at least one image, that is set apart for the test; a class of one image keeps it.
        split_seed: of that draw.
        class_weights, limit: as for :class:`LabelledImages`.
        on_error: ``stop`` at images that do not decode, or ``skip`` them, with a line that counts them.
        workers: processes that decode; None: several if there is much to do.
        cache: keep the pixels in the user's cache folder.
        data_dir: where ``path`` is looked for, too.
    Raises:
        ValueError: an argument is wrong, a class is empty, classes differ, or an image does not decode; the message names the file.
    """
    fn = "folder"
    root = find_path(fn, path, data_dir, kind="folder")
    test_root = None if test_path is None else find_path(fn, test_path, data_dir, kind="folder", argument="test_path")
    if test_root is None and (root / TRAIN).is_dir():
        found = [root / name for name in TEST_NAMES if (root / name).is_dir()]
        tell_left_out(fn, {other.name: len(image_files(other)) for other in found[1:]})
        root, test_root = (root / TRAIN, found[0]) if found else (root, None)
    options = Options(size, color, fit, test_share, split_seed, None, class_weights, limit, on_error, workers, cache)
    return load_listed(fn, _listed(fn, root), None if test_root is None else _listed(fn, test_root), options)


def image_files(root: Path) -> list[Path]:
    """All files below ``root`` that are images by their suffix, sorted, hidden ones left out."""
    files = (file for file in root.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    return sorted(file for file in files if not any(part.startswith(".") for part in file.relative_to(root).parts))


def _listed(fn: str, root: Path) -> Listed:
    classes = sorted(child for child in root.iterdir() if child.is_dir() and not child.name.startswith("."))
    if not classes:
        fix = "Put the images into folders named after their classes."
        raise ValueError(f"{fn}: {root} must hold one folder for each class; it holds none.\n  {fix}")
    files, labels = [], []
    for child in classes:
        found = image_files(child)
        if not found:
            raise ValueError(f"{fn}: {child} must hold images; it holds none.\n  Remove the folder, or put images of the class into it.")
        files += [ImageFile(file) for file in found]
        labels += [child.name] * len(found)
    return Listed(files, labels, [str(file) for file in files])
