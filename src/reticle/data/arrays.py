"""An .npz file of arrays: which of them are images, which are labels, and how are the pixels laid out?"""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from .decode import Format
from .distorted import DATASETS
from .labelled import Labelled, LabelledImages, Weights
from .sources import Listed, Options, as_size, build_set, encode, find_path, name_classes, set_apart

NAMES = {
    "train": (("x_train", "y_train"), ("train_images", "train_labels"), ("images", "labels"), ("x", "y")),
    "test": (("x_test", "y_test"), ("test_images", "test_labels")),
}


@DATASETS.register("npz")
def arrays(
    path: str | Path,
    *,
    classes: Sequence[str | int] | None = None,
    size: int | Sequence[int] | None = None,
    test_share: float = 0.2,
    split_seed: int = 0,
    class_weights: Weights = None,
    limit: int | None = None,
    data_dir: Path | str | None = None,
) -> LabelledImages:
    """Images and labels from an ``.npz`` file: ``images`` and ``labels``, or ``x_train``, ``y_train``, ``x_test`` and ``y_test``.

    Images are ``(N, H, W)``, ``(N, H, W, C)`` or ``(N, C, H, W)`` with one or three channels, as bytes, or as numbers from 0 to 1,
    which are rounded to bytes. Labels are whole numbers or text.

    Args:
        path: the file; relative to the working folder, or to ``data_dir``.
        classes: the names of the classes, in order; the labels themselves if None.
        size: side, or (H, W), of the images that come out; their own if None.
        test_share, split_seed, class_weights, limit, data_dir: as for :func:`folder`.
    Raises:
        ValueError: an array is missing, damaged or of a wrong kind, or a label is no class.
    """
    fn = "npz"
    shape = None if size is None else as_size(fn, size)
    file = find_path(fn, path, data_dir, kind="file")
    content = _read(fn, file)
    images, labels = _pair(fn, file, content, "train")
    test = _pair(fn, file, content, "test") if any(key in content for pair in NAMES["test"] for key in pair) else None
    names = name_classes(fn, labels.labels, None if test is None else test[1].labels, classes)
    numbers = encode(fn, labels, names)
    if test is None:
        apart = set_apart(numbers, fn=fn, share=test_share, seed=split_seed)
        parts = (Labelled(images[~apart], numbers[~apart]), Labelled(images[apart], numbers[apart]))
    else:
        parts = (Labelled(images, numbers), Labelled(test[0], encode(fn, test[1], names)))
    if shape is not None:
        parts = tuple(Labelled(_resized(part.images, *shape), part.labels) for part in parts)  # type: ignore[assignment]
    want = Format(parts[0].images.shape[1:3], parts[0].images.shape[3])
    options = Options(class_weights=class_weights, limit=limit)
    return build_set(fn, *parts, names=names, options=options, want=want)


def _read(fn: str, file: Path) -> Mapping[str, np.ndarray]:
    try:
        # numpy would leave a damaged file that it opened itself open
        with open(file, "rb") as source, np.load(source, allow_pickle=False) as content:
            return {name: content[name] for name in content.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{fn}: {file} must be an .npz file of plain arrays; {error}.\n  Write it with numpy.savez.") from None


def _pair(fn: str, file: Path, content: Mapping[str, np.ndarray], part: str) -> tuple[np.ndarray, Listed]:
    """The images as bytes ``(N, H, W, C)``, and the labels as text."""
    found = [pair for pair in NAMES[part] if pair[0] in content and pair[1] in content]
    if not found:
        known = " or ".join(f"{a} and {b}" for a, b in NAMES[part])
        raise ValueError(f"{fn}: {file} must hold {known}; it holds {', '.join(content) or 'nothing'}.")
    x, y = found[0]
    images, labels = _as_bytes(f"{fn}: {file}: {x}", content[x]), content[y]
    if labels.shape not in ((len(images),), (len(images), 1)) or labels.dtype.kind not in "iuU":
        must = f"one whole number or text for each of the {len(images)} images"
        raise ValueError(f"{fn}: {file}: {y} must be {must}; got {labels.dtype} {labels.shape}.")
    text = [str(label) for label in labels.reshape(-1).tolist()]
    return images, Listed([], text, [f"{file}: {y}[{i}]" for i in range(len(text))])


def _as_bytes(what: str, images: np.ndarray) -> np.ndarray:
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim == 4 and images.shape[3] not in (1, 3) and images.shape[1] in (1, 3):
        images = images.transpose(0, 2, 3, 1)
    if images.ndim != 4 or images.shape[3] not in (1, 3):
        raise ValueError(f"{what} must be (N, H, W), (N, H, W, C) or (N, C, H, W) with one or three channels; got {images.shape}.")
    if images.dtype == np.uint8:
        return images
    low, high = (float(f(images)) if images.size else 0.0 for f in (np.min, np.max))
    if images.dtype.kind == "f" and low >= 0 and high <= 1:
        return (images * 255).round().astype(np.uint8)
    if images.dtype.kind in "iu" and low >= 0 and high <= 255:
        return images.astype(np.uint8)
    raise ValueError(f"{what} must be bytes from 0 to 255 or numbers from 0 to 1; got {images.dtype} from {low:g} to {high:g}.")


def _resized(images: np.ndarray, height: int, width: int) -> np.ndarray:
    out = np.empty((len(images), height, width, images.shape[3]), np.uint8)
    for target, image in zip(out, images, strict=True):
        picture = Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image)
        target[:] = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR)).reshape(target.shape)
    return out
