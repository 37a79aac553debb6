"""What did a run learn to look at? Its folder becomes pictures, at the end of the training or in the middle of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .modules import SpatialTransformer
from .recipe import Recipe, load
from .recurrent import RecurrentSpatialTransformer
from .tasks import build_task
from .training.build import build_data, build_model, load_run
from .training.checkpoint import read_tensors
from .training.runs import Run
from .training.snapshots import first_of_each
from .viz import MOTIONS, Curve, Snapshot, View, evolution_frames, moving_frames, moving_images, save_curves, save_gif, window_picture

FIRST, EACH, LAST, MOVING = 1200, 250, 3000, 90  # how long frames stay, in milliseconds


def show_run(run: Path | str, *, data_dir: Path | None = None, tell: Callable[[str], None] = print) -> list[Path]:
    """Draw a run into its ``pictures/``; what cannot be drawn (yet) is left out, and ``tell`` gets one line that says why.

    Args:
        run: the run's folder; the run may be finished, stopped, or going on.
        data_dir: where the run's data lies, if not where it is looked for anyway.
        tell: called with each such line.
    Returns:
        The files: ``curves.png`` and, for a model with a transformer that reads the images, ``window.png``, ``moving.gif`` and
        ``evolution.gif``.
    Raises:
        FileNotFoundError: ``run`` is not the folder of a run.
        ValueError: a file of the run is damaged; the message names it.
    """
    files = Run(Path(run))
    recipe, data, model, trained = _open(files, data_dir)
    # everything is read before anything is drawn
    curve, fixed, snapshots = read_curve(files), *_read_snapshots(files, model)
    pictures, made = files.path / "pictures", []
    if curve.loss or curve.test_error:
        made.append(save_curves({recipe.name: curve}, pictures / "curves.png"))
    else:
        tell(f"{files.path}: no step is logged yet; curves.png has to wait.")
    if not any(isinstance(module, SpatialTransformer) for module in model.modules()):
        tell(f"{files.path}: the model has no transformer; there is no window to draw.")
    elif trained:
        made += _draw_model(recipe, data, model, pictures, tell=tell)
    else:
        tell(f"{files.path}: there are no weights yet; window.png and moving.gif come with the first checkpoint.")
    if snapshots:
        # without answers beside the pictures, the targets say nothing
        labels = None if snapshots[0].predictions is None else fixed["labels"]
        frames = evolution_frames(fixed["images"], snapshots, labels=labels, total=recipe.train.steps)
        durations = [FIRST, *[EACH] * (len(frames) - 2), LAST][: len(frames)]
        made.append(save_gif(frames, pictures / "evolution.gif", durations=durations))
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


@torch.no_grad()
def look(model: nn.Module, images: Tensor) -> tuple[list[View], Any]:
    """What each transformer that reads the images themselves does with them, and what the model returns.

    Transformers deeper in the network read features; their windows would not fit the image.
    """
    transformers = [module for module in model.modules() if isinstance(module, SpatialTransformer)]
    reading: list[SpatialTransformer] = []

    def note_reader(transformer: SpatialTransformer) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            # the same memory: at the identity a deeper transformer gets an equal image, too
            if inputs[0].data_ptr() == images.data_ptr() and inputs[0].shape == images.shape and transformer not in reading:
                reading.append(transformer)

        return note

    hooks = [transformer.localizer.register_forward_pre_hook(note_reader(transformer)) for transformer in transformers]
    outputs = model(images)
    for hook in hooks:
        hook.remove()
    recurrent = {m.transformer: m for m in model.modules() if isinstance(m, RecurrentSpatialTransformer)}
    views = []
    for transformer in reading:
        warps = recurrent[transformer].warp(images) if transformer in recurrent else (transformer.warp(images),)
        views += [View(warp.grid, warp.output, transformer.align_corners) for warp in warps]
    return views, outputs


def _open(files: Run, data_dir: Path | None) -> tuple[Recipe, Any, nn.Module, bool]:
    """The recipe, its data, its model, and whether the model has weights from the training."""
    if not files.recipe.exists() or files.weights.exists() or files.checkpoint.exists():
        return *load_run(files, data_dir=data_dir), True
    recipe = load(files.recipe)
    data = build_data(recipe, data_dir=data_dir)
    return recipe, data, build_model(recipe, data).eval(), False


def _draw_model(recipe: Recipe, data: Any, model: nn.Module, pictures: Path, *, tell: Callable[[str], None]) -> list[Path]:
    images, labels = data.test_set()
    chosen = first_of_each(labels, count=8)
    images, labels = images[chosen], labels[chosen]
    views, outputs = look(model, images)
    if not views:
        tell(f"{recipe.name}: no transformer of the model reads the image itself; there is no window to draw.")
        return []
    pictures.mkdir(parents=True, exist_ok=True)
    predictions = build_task(recipe).answers(outputs)
    labels = None if predictions is None else labels
    window_picture(images, views, labels=labels, predictions=predictions).save(pictures / "window.png")
    # a distortion of the user's own has no motion of its own
    distortion = recipe.data.args.get("distortion", "rts")
    motion = distortion if distortion in MOTIONS else "rts"
    if recipe.task.name != "classification":  # what moves is one digit
        return [pictures / "window.png"]
    return [pictures / "window.png", _draw_moving(model, data, pictures / "moving.gif", motion=motion)]


def _draw_moving(model: nn.Module, data: Any, file: Path, *, motion: str) -> Path:
    digits, labels = data.plain(min(4, data.num_test))
    image, label = digits[-1], int(labels[-1])
    moved = moving_images(image, motion=motion)
    views, logits = look(model, moved)
    frames = moving_frames(moved, views, label=label, predictions=logits.argmax(1))
    return save_gif(frames, file, durations=[MOVING] * len(frames))


def _read_snapshots(files: Run, model: nn.Module) -> tuple[dict[str, Tensor], list[Snapshot]]:
    """The fixed images with their labels, and what was done to them; empty if the run took no snapshots."""
    taken = sorted(files.snapshots.glob("[0-9]*.safetensors"))
    if not taken:
        return {}, []
    # train writes snapshots of no other module
    module = model.get_submodule("transformer")
    steps = isinstance(module, RecurrentSpatialTransformer)
    transformer = module.transformer if steps else module
    assert isinstance(transformer, SpatialTransformer)
    snapshots = []
    for file in taken:
        kept = _read_tensors(file, "grid", "output")
        looks = zip(kept["grid"].unbind(1), kept["output"].unbind(1), strict=True) if steps else [(kept["grid"], kept["output"])]
        views = [View(grid, output, transformer.align_corners) for grid, output in looks]
        snapshots.append(Snapshot(int(file.stem), views, kept.get("prediction")))
    return _read_tensors(files.snapshots / "images.safetensors", "images", "labels"), snapshots


def _read_tensors(file: Path, *names: str) -> dict[str, Tensor]:
    try:
        tensors = read_tensors(file)
    except FileNotFoundError:
        raise FileNotFoundError(f"{file}: is missing, though the run has snapshots.\n  Train again to get it back.") from None
    if missing := set(names) - set(tensors):
        raise ValueError(f"{file}: must hold {', '.join(names)}; it lacks {', '.join(sorted(missing))}.")
    return tensors
