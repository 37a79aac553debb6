"""What did a run learn to look at? Its folder becomes pictures, at the end of the training or in the middle of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from .modules import SpatialTransformer, Warp
from .recipe import Recipe, load
from .tasks import AbstractTask, build_task
from .training.answers import answers
from .training.atomic import make_folder
from .training.build import build_data, build_model, load_run
from .training.checkpoint import read_tensors
from .training.looking import windows
from .training.runs import Run
from .training.snapshots import first_of_each, key_of
from .viz import (
    BOX,
    MOTIONS,
    Curve,
    Snapshot,
    View,
    evolution_frames,
    evolution_picture,
    mean_picture,
    moving_frames,
    moving_images,
    save_confusion,
    save_curves,
    save_gif,
    window_picture,
)

FIRST, EACH, LAST, MOVING, FILM = 1200, 250, 3000, 90, 200  # how long frames stay, in milliseconds
HARDEST = 15  # images on the page of those that are hardest


def show_run(run: Path | str, *, data_dir: Path | None = None, tell: Callable[[str], None] = print) -> list[Path]:
    """Draw a run into its ``pictures/``; what cannot be drawn (yet) is left out, and ``tell`` gets one line that says why.

    Args:
        run: the run's folder; the run may be finished, stopped, or going on.
        data_dir: where the run's data lies, if not where it is looked for anyway.
        tell: called with each such line.
    Returns:
        The files: ``curves.png`` and, for a model with a transformer that reads the images, ``window.png``, ``moving.gif``,
        ``evolution.gif`` and ``evolution.png``; of a classification whose classes have names, ``confusion.png``, ``hardest.png``
        and, with such a transformer, ``mean.png``.
    Raises:
        FileNotFoundError: ``run`` is not the folder of a run.
        ValueError: a file of the run is damaged; the message names it.
    """
    files = Run(Path(run))
    recipe, data, model, trained = _open(files, data_dir)
    # everything is read before anything is drawn
    task, curve, fixed, snapshots = build_task(recipe), read_curve(files), *_read_snapshots(files, model)
    pictures, made = files.path / "pictures", []
    if curve.loss or curve.test_error:
        made.append(save_curves({recipe.name: curve}, pictures / "curves.png", unit=task.error_unit))
    else:
        tell(f"{files.path}: no step is logged yet; curves.png has to wait.")
    if not any(isinstance(module, SpatialTransformer) for module in model.modules()):
        tell(f"{files.path}: the model has no transformer; there is no window to draw.")
    elif trained:
        made += _draw_model(recipe, task, data, model, pictures, tell=tell)
    else:
        tell(f"{files.path}: there are no weights yet; window.png and moving.gif come with the first checkpoint.")
    if trained and _names(data) and recipe.task.name == "classification":
        made += _draw_classes(data, model, pictures)
    if snapshots:
        # without answers beside the pictures, the targets say nothing
        labels = None if snapshots[0].predictions is None else fixed["labels"]
        frames = evolution_frames(fixed["images"], snapshots, labels=labels, total=recipe.train.steps, names=_names(data))
        durations = [FIRST, *[EACH] * (len(frames) - 2), LAST][: len(frames)]
        made += [save_gif(frames, pictures / "evolution.gif", durations=durations), pictures / "evolution.png"]
        evolution_picture(fixed["images"], snapshots).save(made[-1])
    return made


def read_curve(files: Run) -> Curve:
    """The loss and the test error that a run has logged so far.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        records = files.read_metrics()
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{files.metrics}: must hold one JSON object a line; {error}.") from None
    loss, test_error = ([(record["step"], record[key]) for record in records if key in record] for key in ("loss", "test_error"))
    return Curve(loss, test_error)


def look(model: nn.Module, images: Tensor) -> tuple[list[View], Any]:
    """What each transformer that reads the images themselves does with them, and what the model returns."""
    seen, outputs = windows(model, images)
    return [_view(transformer, warp, images) for transformer, warp in seen], outputs


def _view(transformer: SpatialTransformer, warp: Warp, images: Tensor) -> View:
    if images.ndim == 5:
        return _solid_view(transformer, warp.theta, warp.output.sum(2), images)
    return View(warp.grid, warp.output, transformer.align_corners)


def _solid_view(transformer: SpatialTransformer, theta: Tensor, output: Tensor, volumes: Tensor) -> View:
    """The window's corners, and the sum along the depth that the network saw."""
    return View(transformer.transform(theta, BOX.to(theta), tuple(volumes.shape[2:])), output, transformer.align_corners)


def _open(files: Run, data_dir: Path | None) -> tuple[Recipe, Any, nn.Module, bool]:
    """The recipe, its data, its model, and whether the model has weights from the training."""
    if not files.recipe.exists() or files.weights.exists() or files.checkpoint.exists():
        return *load_run(files, data_dir=data_dir), True
    recipe = load(files.recipe)
    data = build_data(recipe, data_dir=data_dir)
    return recipe, data, build_model(recipe, data).eval(), False


def _draw_model(
    recipe: Recipe, task: AbstractTask, data: Any, model: nn.Module, pictures: Path, *, tell: Callable[[str], None]
) -> list[Path]:
    images, labels = data.test_set()
    num_test, chosen = len(labels), first_of_each(labels, count=8)
    images, labels = images[chosen], labels[chosen]
    views, outputs = look(model, images)
    if not views:
        tell(f"{recipe.name}: no transformer of the model reads the image itself; there is no window to draw.")
        return []
    make_folder(pictures)
    predictions = task.answers(outputs)
    labels = None if predictions is None else labels
    page = window_picture(images, views, labels=labels, predictions=predictions, names=_names(data))
    page.save(pictures / "window.png")
    if images.ndim == 5:
        tell(f"{recipe.name}: the model reads volumes; moving.gif is for images.")
        return [pictures / "window.png"]
    if recipe.task.name != "classification":  # what moves is one digit
        return [pictures / "window.png"]
    if not (hasattr(data, "moving") or hasattr(data, "plain")):
        tell(f"{recipe.name}: the data set has neither `moving` nor `plain`, images to be moved; moving.gif is left out.")
        return [pictures / "window.png"]
    return [pictures / "window.png", _draw_moving(recipe, model, data, pictures / "moving.gif", num_test=num_test)]


def _draw_moving(recipe: Recipe, model: nn.Module, data: Any, file: Path, *, num_test: int) -> Path:
    if hasattr(data, "moving"):  # a film of a real thing
        moved, labels = data.moving()
        label, pause = int(labels[0]), FILM
    else:
        digits, labels = data.plain(min(4, num_test))
        # a distortion of the user's own has no motion of its own
        distortion = recipe.data.args.get("distortion", "rts")
        moved = moving_images(digits[-1], motion=distortion if distortion in MOTIONS else "rts")
        label, pause = int(labels[-1]), MOVING
    views, logits = look(model, moved)
    frames = moving_frames(moved, views, label=label, predictions=logits.argmax(1), names=_names(data))
    return save_gif(frames, file, durations=[pause] * len(frames))


def _draw_classes(data: Any, model: nn.Module, pictures: Path) -> list[Path]:
    """What the network gets wrong, and what its classes look like on average."""
    images, labels = data.test_set()
    names = _names(data)
    found = answers(model, images, labels, num_classes=data.num_classes)
    made = [save_confusion(found.confusion, names, pictures / "confusion.png"), pictures / "hardest.png"]
    hardest = found.hardest(HARDEST)
    views, logits = look(model, images[hardest])
    predictions = logits.argmax(1)
    truth, said = labels[hardest].tolist(), predictions.tolist()
    # without a transformer there is one panel, and one place for text
    captions = None if views else [(f"{names[t]} {'✓' if t == p else '✗ ' + names[p]}", "") for t, p in zip(truth, said, strict=True)]
    page = window_picture(
        images[hardest], views, labels=labels[hardest], predictions=predictions, names=names, captions=captions, columns=3 if views else 5
    )
    page.save(made[-1])
    if found.before is not None and found.after is not None:
        made.append(pictures / "mean.png")
        shown = found.confusion.sum(1) > 0
        which = shown.nonzero()[:, 0]
        mean_picture(found.before[which], found.after[which], [names[i] for i in which.tolist()]).save(made[-1])
    return made


def _names(data: Any) -> tuple[str, ...]:
    """The names of the classes, if they have any."""
    return tuple(getattr(data, "class_names", ()))


def _read_snapshots(files: Run, model: nn.Module) -> tuple[dict[str, Tensor], list[Snapshot]]:
    """The fixed images with their labels, and what was done to them; empty if the run took no snapshots."""
    taken = sorted(files.snapshots.glob("[0-9]*.safetensors"))
    if not taken:
        return {}, []
    # train writes snapshots of no other modules
    whole = model.get_submodule("transformer")
    parts = [part for part in whole.modules() if isinstance(part, SpatialTransformer)]
    # one that looks again has as many windows as it has looks
    count = sum(name.partition(".")[0] == "output" for name in _read_tensors(taken[0]))
    parts = [part for part in parts for _ in range(max(1, count // len(parts)))]
    names = [key_of(name, number) for number, part in enumerate(parts) for name in (_window_of(part), "output")]
    kept = {int(file.stem): _read_tensors(file, *names) for file in taken}
    fixed = _read_tensors(files.snapshots / "images.safetensors", "images", "labels")
    snapshots = []
    for step, tensors in kept.items():
        views = [_kept_view(part, number, tensors, fixed["images"]) for number, part in enumerate(parts)]
        snapshots.append(Snapshot(step, views, tensors.get("prediction")))
    return fixed, snapshots


def _window_of(transformer: SpatialTransformer) -> str:
    """Which tensor of a snapshot says where the transformer looked."""
    return "grid" if transformer.transform.ndim == 2 else "theta"


def _kept_view(transformer: SpatialTransformer, number: int, tensors: dict[str, Tensor], images: Tensor) -> View:
    window, output = (tensors[key_of(name, number)] for name in (_window_of(transformer), "output"))
    if images.ndim == 5:
        return _solid_view(transformer, window, output, images)
    return View(window, output, transformer.align_corners)


def _read_tensors(file: Path, *names: str) -> dict[str, Tensor]:
    try:
        tensors = read_tensors(file)
    except FileNotFoundError:
        raise FileNotFoundError(f"{file}: is missing, though the run has snapshots.\n  Train again to get it back.") from None
    if missing := set(names) - set(tensors):
        raise ValueError(f"{file}: must hold {', '.join(names)}; it lacks {', '.join(sorted(missing))}.")
    return tensors
