"""Which runs may be trained together, how, and what comes of each?"""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch

from ..recipe import Recipe
from ..train import Training, own_random_numbers, tensorboard_of
from ..training.build import check_parts
from ..training.lock import alone_in
from ..training.parallel import Place, processes
from ..training.progress import Bar, Share, TrainingBar
from ..training.results import Result, read_result
from ..training.runs import Run
from .stack import Failures, key, refuses, settle, train_stacked
from .turns import train_in_turns


def fit_together(
    recipes: Sequence[Recipe],
    outs: Sequence[str | Path],
    *,
    resume: bool = False,
    data_dir: Path | None = None,
    tensorboard: bool = False,
    stack: bool | None = None,
) -> list[Result]:
    """Train each of ``recipes`` in its folder of ``outs``, all in this process; return what was measured, in order.

    Each run has the protocol of its recipe, the folder that :func:`reticle.train.fit` would make, and the same curve: bit for bit that
    of one core if not stacked, up to the rounding of sums if stacked. It can be resumed alone, or with the same others bit for bit.

    Args:
        recipes: those that share all but data and seed, and the shapes of images, can be stacked; others take turns.
        outs: the runs' folders.
        resume: go on with the runs that are there, if there are any; those that are complete stay as they are.
        data_dir: where the data's files are looked for first.
        tensorboard: write loss, accuracy and error for TensorBoard, too.
        stack: train networks of equal shape as one; on a GPU if None. On a CPU as many take turns as torch has threads, with one each.
    Raises:
        FileExistsError: a folder holds a run, and ``resume`` is not given, or another process is training there.
        ValueError: there are no recipes, a folder is named twice, there are several processes, or a recipe is wrong, as for ``fit``.
        FloatingPointError: the loss or a θ of some runs is not finite any more; the others are complete.
        OSError: the disk is full.
    """
    runs = [Run(Path(out)) for out in outs]
    _check(recipes, runs)
    with processes() as place, own_random_numbers(place), ExitStack() as held:
        _check_alone(place)
        for run in runs:
            held.enter_context(alone_in(run.path))
        left = [(recipe, run) for recipe, run in zip(recipes, runs, strict=True) if not (resume and run.is_complete(recipe))]
        for recipe, run in left:
            run.check(recipe, resume=resume)
            check_parts(recipe)
        trainings = _build(left, place, data_dir=data_dir)
        _start(trainings, resume=resume)
        if tensorboard:
            for training in trainings:
                training.board = tensorboard_of(training)
        failures = _train(trainings, place, stack=place.device.type == "cuda" if stack is None else stack)
    if failures:
        raise _failed(failures, len(runs))
    return [read_result(run) for run in runs]


def _check(recipes: Sequence[Recipe], runs: Sequence[Run]) -> None:
    if not recipes:
        raise ValueError("fit_together: `recipes` must be one or more; got none.")
    if len(runs) != len(recipes):
        raise ValueError(f"fit_together: `outs` must be a folder for each of {len(recipes)} recipes; got {len(runs)}.")
    folders = [run.path.resolve() for run in runs]
    if twice := [str(run.path) for run, folder in zip(runs, folders, strict=True) if folders.count(folder) > 1]:
        raise ValueError(f"fit_together: `outs` must be different folders; got {twice[0]} more than once.")


def _check_alone(place: Place) -> None:
    if place.world_size > 1:
        fix = "Train one run with torchrun, or several without it."
        raise ValueError(f"fit_together: must be called in one process; got {place.world_size} of torchrun.\n  {fix}")


def _build(left: Sequence[tuple[Recipe, Run]], place: Place, *, data_dir: Path | None) -> list[Training]:
    """The trainings; those of the same data read it once."""
    trainings: list[Training] = []
    for recipe, run in left:
        like = next((training for training in trainings if training.recipe.data == recipe.data), None)
        trainings.append(Training(recipe, run, place, data_dir=data_dir, like=like))
    return trainings


def _start(trainings: Sequence[Training], *, resume: bool) -> None:
    for group in _groups(trainings):
        settle([training.run for training in group])
    for training in trainings:
        training.start(resume=resume)
        training.pause()


def _groups(trainings: Sequence[Training]) -> list[list[Training]]:
    groups = defaultdict(list)
    for training in trainings:
        groups[key(training)].append(training)
    return list(groups.values())


def _train(trainings: Sequence[Training], place: Place, *, stack: bool) -> Failures:
    steps, start = sum(training.recipe.train.steps for training in trainings), sum(training.step for training in trainings)
    with TrainingBar(f"{len(trainings)} runs", steps=steps, start=start, silent=not trainings) as bar:
        bars: dict[Run, Bar] = {t.run: Share(bar, _name(t), steps=t.recipe.train.steps, start=t.step) for t in trainings}
        failures: Failures = {}
        in_turn: list[Training] = []
        for group in _groups(trainings):
            if not stack:
                in_turn += group
            elif why := "is the only one of its shape, protocol and step" if len(group) == 1 else refuses(group):
                bar.say(f"not stacked: {'; '.join(map(_name, group))}: {why}")
                in_turn += group
            else:
                failures |= train_stacked(group, bars)
        threads = 1 if place.device.type == "cuda" else torch.get_num_threads()
        return failures | train_in_turns(in_turn, bars, threads=threads)


def _name(training: Training) -> str:
    return f"{training.recipe.name}, seed {training.recipe.seed}"


def _failed(failures: Failures, count: int) -> FloatingPointError:
    listed = "\n".join(f"  {run.path}: {str(error).splitlines()[0]}" for run, error in failures.items())
    advice = next(iter(failures.values())).args[0].splitlines()[-1].strip()
    stopped = f"{len(failures)} of {count} runs {'has' if len(failures) == 1 else 'have'} stopped; the others are complete."
    return FloatingPointError(f"{stopped}\n{listed}\n  {advice}")
