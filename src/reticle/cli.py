"""The command line: ``reticle --help``. Torch is imported when a command runs, so that help comes at once."""

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import tyro

Names = Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="RECIPE...")]
Folder = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
Folders = Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN...")]
Images = Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="IMAGES...")]
Changes = Annotated[
    tyro.conf.UseAppendAction[tuple[str, ...]],
    tyro.conf.arg(name="set", metavar="KEY=VALUE", help="change any value of the recipe, such as train.lr=0.1"),
]
DataDir = Annotated[Path | None, tyro.conf.arg(metavar="DIR", help="where the data's files are looked for first")]
Out = Annotated[Path | None, tyro.conf.arg(metavar="PATH")]


def info() -> None:
    """What is installed, and which backend does what and why not."""
    from .info import describe

    print(describe())


def recipes() -> None:
    """Every experiment: the paper's number, the measured one, and what it costs."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from .training.results import overview

    header, *rows = overview()
    table = Table(*header, box=box.SIMPLE_HEAD)
    table.columns[0].no_wrap = True  # a name is there to be copied
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def train(
    recipes: Names,
    /,
    changes: Changes = (),
    seeds: str = "",
    smoke: bool = False,
    out: Out = None,
    resume: bool = False,
    data_dir: DataDir = None,
    tensorboard: bool = False,
) -> None:
    """Train a recipe, or several at a time; the results, the weights and the pictures of one go to runs/<recipe>/<seed>/.

    Args:
        recipes: names that `reticle recipes` lists, or paths of YAML files of your own.
        seeds: such as 0,1,2: each recipe once with each seed.
        smoke: the recipe's own trial of a few seconds.
        out: another folder for the run; of several runs, for their folders <recipe>/<seed>.
        resume: go on with the run that is there.
        tensorboard: write for TensorBoard, too.
    """
    from .recipe import load

    each = [("seed=" + seed,) for seed in _seeds(seeds, changes)] if seeds else [()]
    loaded = [load(recipe, smoke=smoke, overrides=[*changes, *seed]) for recipe in recipes for seed in each]
    folders = [Path(out or Path("runs", "smoke" if one.is_smoke else ""), one.name, str(one.seed)) for one in loaded]
    if out and len(loaded) == 1:
        folders = [out]

    from .show import show_run
    from .together import fit_together
    from .train import fit

    try:
        if len(loaded) != 1:
            _print_results(fit_together(loaded, folders, resume=resume, data_dir=data_dir, tensorboard=tensorboard), folders)
            return
        result = fit(loaded[0], folders[0], resume=resume, data_dir=data_dir, tensorboard=tensorboard)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped; to go on: reticle {shlex.join(sys.argv[1:])}{'' if resume else ' --resume'}") from None
    if _is_first():
        print(f"{result.metric} {result.value:.2f} after {result.steps:,} steps, {result.num_params:,} parameters, {result.seconds:,.0f} s")
        for file in show_run(folders[0], data_dir=data_dir):
            print(file)


def evaluate(run: Folder, /, data_dir: DataDir = None) -> None:
    """Measure the test error of a run, finished or not.

    Args:
        run: a folder that `reticle train` wrote, or the name of a run that ships with the package.
    """
    from .tasks import build_task
    from .training.build import load_run
    from .training.evaluation import mean_mistake
    from .training.parallel import processes
    from .training.runs import find_run

    recipe, data, model = load_run(find_run(run), data_dir=data_dir)
    with processes() as place:
        images, targets = data.test_set(device=place.device)
        task = build_task(recipe).to(place.device)
        error = mean_mistake(model.to(place.device), images, targets, mistakes=task.mistakes, place=place)
    if _is_first():
        print(f"{recipe.name}, seed {recipe.seed}: test error {error:.2f} {task.error_unit} of {len(images):,} images")


def predict(run: Folder, images: Images, /, out: Out = None) -> None:
    """Say what new images show, and draw what the network looked at in each.

    Args:
        run: a folder that `reticle train` wrote, or the name of a run that ships with the package.
        images: files, or folders of images.
        out: another folder for the pictures than the run's predictions/, which lies below runs/ for one that ships.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from .predict import predict as answer
    from .training.runs import find_run

    folder = run if find_run(run).path == run else Path("runs", run)
    predictions, pictures = answer(run, images, out=out or folder / "predictions")
    table = Table("image", "class", "confidence", "second", "confidence", box=box.SIMPLE_HEAD)
    for p in predictions:
        table.add_row(str(p.file), p.name, f"{p.confidence:.1%}", p.second, f"{p.second_confidence:.1%}")
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    for file in pictures:
        print(file)


def show(run: Folder, /, data_dir: DataDir = None) -> None:
    """Draw what a run learned to look at, into its folder pictures/.

    Args:
        run: a folder that `reticle train` wrote.
    """
    from .show import show_run

    for file in show_run(run, data_dir=data_dir):
        print(file)


def keep(runs: Folders, /, out: Out = None, least_loss: bool = False) -> None:
    """Merge complete runs, one per seed, into the result that is committed beside the recipe.

    Args:
        runs: folders that `reticle train` wrote.
        out: another file for the result.
        least_loss: only the run of the least training loss counts; the others are written down beside it.
    """
    from .training import results

    print(results.keep(runs, out=out, least_loss=least_loss))


def bench(
    cases: str = "",
    threads: str = "",
    peers: str = "",
    quick: bool = False,
    out: Out = None,
    add: bool = False,
    memory: bool = False,
    device: str = "cpu",
) -> None:
    """Measure the sampler beside other libraries: parity first, then time. For a machine that has nothing else to do.

    Args:
        cases: such as a,b1; all of them if not given.
        threads: such as 1,2, which is what is measured if not given.
        peers: such as torch,opencv; those that each case names if not given.
        quick: a trial of seconds; its numbers mean little.
        out: the JSON file; runs/bench/<suite>--<device>.json if not given.
        add: keep what the file has of other cases and threads, if it is of the same machine and code.
        memory: the memory that each call takes, too.
        device: cpu, or cuda, which has cases of its own.
    """
    from .bench.command import measure

    print(measure(cases, threads, peers, quick=quick, out=out, add=add, memory=memory, device=device))


COMMANDS: dict[str, Callable[..., Any]] = {
    **{"info": info, "recipes": recipes, "train": train, "eval": evaluate, "show": show, "keep": keep},
    **{"predict": predict, "bench": bench},
}


def main() -> None:
    """Run the command line; a fault of the user's is one message and exit code 2, a traceback only if ``RETICLE_TRACEBACK`` is set."""
    sys.path.insert(0, os.getcwd())  # as python -m does: a recipe may name a network of the user's own
    try:
        args, config = _one_set_each(sys.argv[1:]), (tyro.conf.FlagCreatePairsOff,)
        tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="reticle", description="Learnable warps for PyTorch.", args=args, config=config)
    except (ValueError, TypeError, NotImplementedError, OSError, FloatingPointError) as error:
        if os.environ.get("RETICLE_TRACEBACK"):
            raise
        # each process of torchrun meets the same error: one speaks
        if _is_first():
            print(f"reticle: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt as stop:
        if _is_first():
            print(f"reticle: {str(stop) or 'stopped'}", file=sys.stderr)
        sys.exit(130)


def _one_set_each(args: list[str]) -> list[str]:
    """``--set a=1 b=2`` as ``--set a=1 --set b=2``: both ways of writing several changes mean the same."""
    out: list[str] = []
    inside = False
    for arg in args:
        inside = arg == "--set" or (inside and "=" in arg and not arg.startswith("-"))
        out += ["--set", arg] if inside and arg != "--set" and out[-1] != "--set" else [arg]
    return out


def _seeds(seeds: str, changes: tuple[str, ...]) -> list[str]:
    """``0,1,2`` one by one."""
    listed = [seed.strip() for seed in seeds.split(",")]
    if not all(seed.isascii() and seed.isdigit() for seed in listed) or len(set(map(int, listed))) < len(listed):
        raise ValueError(f"--seeds must be different whole numbers of at least 0 with commas between, such as 0,1,2; got {seeds!r}.")
    if any(change.startswith("seed=") for change in changes):
        raise ValueError(f"--seeds must not be given beside --set seed=...; got {seeds!r}.")
    return [str(int(seed)) for seed in listed]


def _print_results(results: list[Any], folders: list[Path]) -> None:
    """What several runs measured."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table("recipe", "seed", "metric", "value", "seconds", "run", box=box.SIMPLE_HEAD)
    for result, folder in zip(results, folders, strict=True):
        cells = (result.recipe, str(result.seed), result.metric, f"{result.value:.2f}", f"{result.seconds:,.0f}", str(folder))
        table.add_row(*cells)
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _is_first() -> bool:
    return os.environ.get("RANK", "0") == "0"
