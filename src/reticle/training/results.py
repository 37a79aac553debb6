"""What was measured, and how does it stand beside the paper? Written by runs, never by hand."""

import json
import shlex
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..recipe import RECIPES, Recipe, differences, load, names
from ..schema import At, build, plain
from .atomic import write_atomically
from .runs import Run

NOT_YET = "not yet run"
OBSERVATION = ("train.log_every", "train.eval_every", "train.checkpoint_every")


@dataclass(frozen=True, kw_only=True)
class Result:
    """One run's number, and what is needed to judge it and to get it again."""

    recipe: str
    seed: int
    metric: str
    value: float
    num_params: int
    steps: int
    schedule: dict[str, Any]
    changes: dict[str, Any]
    smoke: bool
    seconds: float
    hardware: str
    threads: int
    processes: int
    torch: str
    commit: str
    date: str


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What several seeds of one experiment gave: committed as ``<experiment>.result.json`` beside its recipe."""

    recipe: str
    metric: str
    mean: float
    sd: float | None
    runs: list[dict[str, Any]]
    num_params: int
    steps: int
    schedule: dict[str, Any]
    changes: dict[str, Any]
    chosen_from: list[dict[str, Any]] | None = None
    """If one run was chosen by its loss: seed, loss and value of all of them."""

    @property
    def value(self) -> str:
        """Mean and standard deviation over the seeds: ``0.71 ± 0.03``."""
        spread = "" if self.sd is None else f" ± {self.sd:.2f}"
        return f"{self.mean:.2f}{spread}"

    @property
    def minutes(self) -> float:
        """Mean duration of a run."""
        return statistics.fmean(run["seconds"] for run in self.runs) / 60


def schedule_of(recipe: Recipe) -> dict[str, Any]:
    """The part of ``recipe`` that decides how long and how fast it trains."""
    train = recipe.train
    rates = {"lr": train.lr, "localizer_lr": train.localizer_lr, "factors": train.schedule}
    if train.localizer_warmup:  # where there is none, results read as those from before there was one
        rates["localizer_warmup"] = train.localizer_warmup
    return {"optimizer": plain(recipe.optimizer), "batch_size": train.batch_size} | rates


def changes_of(recipe: Recipe) -> dict[str, Any]:
    """What was changed against the recipe of that name in the package; the seed does not count, nor what only smoke runs see."""
    if recipe.name not in names():
        return {}
    changes = differences(load(recipe.name), recipe)
    return {path: new for path, (_, new) in changes.items() if path.split(".")[0] not in ("seed", "smoke", "is_smoke")}


def write_result(run: Run, result: Result) -> None:
    """Declare ``run`` complete."""
    write_atomically(run.result, json.dumps(plain(result), indent=2) + "\n")


def read_result(run: Run) -> Result:
    """The result of a complete run.

    Raises:
        FileNotFoundError: the run is not complete.
    """
    if not run.result.exists():
        raise FileNotFoundError(f"{run.path}: must be a complete run; it has no result.json.\n  Finish it: reticle train ... --resume")
    result: Result = _read(Result, run.result)
    return result


def keep(runs: Sequence[str | Path], *, out: Path | None = None, least_loss: bool = False) -> Path:
    """Merge complete runs of one recipe, one per seed, into its ``<experiment>.result.json``; return that file.

    Args:
        runs: the folders of the runs.
        out: the file to write; beside the recipe of the package if None.
        least_loss: only the run with the least training loss counts, its mean over the last tenth of the steps; what the others gave is
            written down beside it. For what is learned without labels, where starting anew and keeping the best is part of the method.
    Raises:
        FileNotFoundError: a run is not complete.
        ValueError: a run is a smoke run, a seed comes twice, the runs differ in their recipes, or the recipe is not of the package.
    """
    folders = [Run(Path(run)) for run in runs]
    results = [read_result(run) for run in folders]
    _check_one_experiment(folders, results)
    first = results[0]
    if out is None and first.recipe not in names():
        fix = f"Say --out {first.recipe}.result.json"
        raise ValueError(f"keep: `out` must be given, as {first.recipe!r} is not a recipe of the package.\n  {fix}")
    chosen_from = None
    if least_loss:
        losses = [_final_loss(run) for run in folders]
        chosen_from = [{"seed": r.seed, "loss": round(loss, 4), "value": r.value} for r, loss in zip(results, losses, strict=True)]
        results = [results[losses.index(min(losses))]]
    values = [result.value for result in results]
    kept = Kept(
        recipe=first.recipe,
        metric=first.metric,
        mean=statistics.fmean(values),
        sd=statistics.stdev(values) if len(values) > 1 else None,
        runs=[_own(result) for result in sorted(results, key=lambda result: result.seed)],
        num_params=first.num_params,
        steps=first.steps,
        schedule=first.schedule,
        changes=first.changes,
        chosen_from=chosen_from,
    )
    file = out or _kept_file(first.recipe)
    write_atomically(file, json.dumps(plain(kept), indent=2) + "\n")
    return file


def kept_result(name: str) -> Kept | None:
    """The committed result of a recipe of the package, if there is one."""
    file = _kept_file(name)
    if not file.exists():
        return None
    kept: Kept = _read(Kept, file)
    return kept


def overview() -> list[tuple[str, ...]]:
    """The rows that `reticle recipes` prints, headings first."""
    rows: list[tuple[str, ...]] = [("recipe", "paper", "measured", "minutes", "steps × batch, optimizer")]
    for name in names():
        recipe, kept = load(name), kept_result(name)
        minutes = f"{kept.minutes:.1f}" if kept else ""
        rows.append((name, _reported(recipe), _measured(recipe, kept), minutes, _training(recipe, kept)))
    return rows


def table(prefix: str = "", *, measured_only: bool = False) -> str:
    """The recipes whose names start with ``prefix``, as a Markdown table: the paper's number beside the measured one."""
    lines = ["| recipe | paper | measured | steps × batch, optimizer | command |", "| --- | --: | --: | --- | --- |"]
    for name in (name for name in names() if name.startswith(prefix)):
        recipe, kept = load(name), kept_result(name)
        cells = (name, _reported(recipe), _measured(recipe, kept), _training(recipe, kept))
        if kept or not measured_only:
            lines.append(f"| {' | '.join(cells)} | `{command(name, kept.changes if kept else {}, _seeds(kept))}` |")
    return "\n".join(lines) + "\n"


def command(name: str, changes: dict[str, Any], seeds: Sequence[int] = ()) -> str:
    """The command line that runs recipe ``name`` with ``changes``, without those that the number does not depend on."""
    words = [f"--seeds {','.join(map(str, seeds))}"] if seeds else []
    words += [f"--set {shlex.quote(f'{path}={_inline(value)}')}" for path, value in changes.items() if path not in OBSERVATION]
    return " ".join(["reticle train", name, *words])


def _reported(recipe: Recipe) -> str:
    return "" if recipe.source.reported is None else f"{recipe.source.reported:g}{_kind(recipe)}"


def _measured(recipe: Recipe, kept: Kept | None) -> str:
    if kept is None:
        return NOT_YET
    chosen = f" (of {len(kept.chosen_from)} that of least loss)" if kept.chosen_from else ""
    return f"{kept.value}{_kind(recipe)}{chosen}"


def _seeds(kept: Kept | None) -> list[int]:
    """Those that a run was chosen from."""
    return [run["seed"] for run in kept.chosen_from or []] if kept else []


def _final_loss(run: Run) -> float:
    """Mean training loss over the last tenth of the steps."""
    records = [record for record in run.read_metrics() if "loss" in record]
    if not records:
        raise ValueError(f"{run.path}: must have logged a loss; its metrics.jsonl has none.\n  Lower train.log_every and train again.")
    from_step = 0.9 * records[-1]["step"]
    return statistics.fmean(record["loss"] for record in records if record["step"] >= from_step)


def _kind(recipe: Recipe) -> str:
    """What a number counts, if not errors: `` correct`` for ``correct_percent``."""
    return "" if recipe.source.metric == "error_percent" else f" {recipe.source.metric.removesuffix('_percent')}"


def _training(recipe: Recipe, kept: Kept | None) -> str:
    """The schedule as run, or, before there is a run, as the recipe has it: ``150,000 × 256, sgd lr 0.01``."""
    schedule = kept.schedule if kept else schedule_of(recipe)
    optimizer = schedule["optimizer"]
    arguments = {"lr": schedule["lr"]} | {key: value for key, value in optimizer.items() if key != "name" and value}
    words = [optimizer["name"], *(f"{key} {value}" for key, value in arguments.items())]
    return f"{kept.steps if kept else recipe.train.steps:,} × {schedule['batch_size']}, {' '.join(words)}"


def _inline(value: Any) -> str:
    """``value`` as YAML on one line."""
    # a bare scalar ends with a line of three dots
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n").strip()


def _own(result: Result) -> dict[str, Any]:
    """What differs from run to run."""
    kept = ("seed", "value", "seconds", "hardware", "threads", "processes", "torch", "commit", "date")
    return {key: getattr(result, key) for key in kept}


def _read(want: type, file: Path) -> Any:
    try:
        return build(want, json.loads(file.read_text(encoding="utf-8"), object_hook=_with_steps), At(str(file)))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: must be valid JSON; {error}.") from None


def _with_steps(mapping: dict[str, Any]) -> dict[str | int, Any]:
    """Undo what JSON does to a schedule: its keys are numbers of steps, not text."""
    return {int(key) if key.isdigit() else key: value for key, value in mapping.items()}


def _check_one_experiment(runs: list[Run], results: list[Result]) -> None:
    if not runs:
        raise ValueError("keep: `runs` must be one or more folders; got none.")
    for run, result in zip(runs, results, strict=True):
        if result.smoke:
            raise ValueError(f"{run.path}: must not be a smoke run; its number means nothing.")
        changes = {path: pair for path, pair in differences(load(runs[0].recipe), load(run.recipe)).items() if path != "seed"}
        if changes:
            raise ValueError(f"{run.path}: must be of the same recipe as {runs[0].path}; they differ in {', '.join(changes)}.")
    seeds = [result.seed for result in results]
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"keep: `runs` must have different seeds; got {seeds}.")


def _kept_file(name: str) -> Path:
    return RECIPES / f"{name}.result.json"
