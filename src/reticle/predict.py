"""What does a trained network say of new images? A class with a confidence for each, and pictures of what it looked at."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from .data.decode import Format, ImageFile, decode_files
from .data.folder import image_files
from .training.atomic import make_folder
from .training.build import load_model
from .training.looking import windows
from .training.runs import find_run
from .viz import View, window_picture

CHUNK = 128  # images that the network sees at a time


class Prediction(NamedTuple):
    """The answer to one image: the class, its probability, and the one after it."""

    file: Path
    name: str
    confidence: float
    second: str
    second_confidence: float


def predict(run: Path | str, images: Path | str | Sequence[Path | str], *, out: Path | None = None) -> tuple[list[Prediction], list[Path]]:
    """Classify ``images`` with the network of a run, and draw what it sees in each.

    Args:
        run: a folder that `reticle train` wrote, or the name of a run that ships with the package.
        images: files; or folders, for all the images in them; or one of them.
        out: a folder for the pictures; none are drawn if None.
    Returns:
        One prediction for each image, and the pictures: one for each chunk of 12 images, if the network has a transformer that reads
        the image.
    Raises:
        FileNotFoundError: an image does not exist, ``run`` is no run, or it has no weights yet.
        ValueError: an image does not decode, or there is none; the message names it.
    """
    files = _files(images)
    _, interface, model = load_model(find_run(run))
    if len(interface.input_shape) != 3 or interface.input_shape[0] not in (1, 3):
        shape = tuple(interface.input_shape)
        raise ValueError(f"{run}: must be a run of a network that reads grey or colour images; it reads inputs of shape {shape}.")
    channels, height, width = interface.input_shape
    want = Format((height, width), channels, interface.fit)
    pixels, _ = decode_files([ImageFile(file) for file in files], want, on_error=None, workers=0)
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    seen, logits = zip(*(_look(model, part) for part in x.split(CHUNK)), strict=True)
    # one class has no second
    best = torch.cat(logits).softmax(1).topk(min(2, interface.num_classes))
    predictions = [
        Prediction(file, interface.name(labels[0]), shares[0], interface.name(labels[-1]), shares[-1])
        for file, labels, shares in zip(files, best.indices.tolist(), best.values.tolist(), strict=True)
    ]
    views = [View(torch.cat(grids), torch.cat(outputs), corners[0]) for grids, outputs, corners in _join(seen)]
    return predictions, [] if out is None or not views else _draw(x, views, predictions, out)


def _files(images: Path | str | Sequence[Path | str]) -> list[Path]:
    files: list[Path] = []
    for image in map(Path, [images] if isinstance(images, str | Path) else images):
        if not image.exists():
            raise FileNotFoundError(f"predict: `images` must be existing files or folders; got '{image}'.")
        found = image_files(image) if image.is_dir() else [image]
        if not found:
            raise ValueError(f"predict: `images` must hold images; the folder '{image}' holds none.")
        files += found
    if not files:
        raise ValueError("predict: `images` must be one or more files or folders; got none.")
    return files


def _look(model: torch.nn.Module, x: Tensor) -> tuple[list[tuple[Tensor, Tensor, bool]], Tensor]:
    seen, logits = windows(model, x)
    return [(warp.grid, warp.output, transformer.align_corners) for transformer, warp in seen], logits


def _join(seen: Sequence[list[tuple[Tensor, Tensor, bool]]]) -> list[tuple[tuple, tuple, tuple]]:
    """From one list of transformers for each chunk to the chunks of each transformer."""
    return [tuple(zip(*chunks, strict=True)) for chunks in zip(*seen, strict=True)]  # type: ignore[misc]


def _draw(x: Tensor, views: Sequence[View], predictions: Sequence[Prediction], out: Path, *, page: int = 12) -> list[Path]:
    make_folder(out)
    for old in out.glob("predictions-*.png"):  # of other images
        old.unlink()
    made = []
    for start in range(0, len(x), page):
        part = slice(start, start + page)
        some = [View(view.grid[part], view.output[part], view.align_corners) for view in views]
        captions = [(p.file.name, f"{p.name} {p.confidence:.0%}") for p in predictions[part]]
        picture: Image.Image = window_picture(x[part], some, captions=captions)
        made.append(out / f"predictions-{start // page + 1}.png")
        picture.save(made[-1])
    return made
