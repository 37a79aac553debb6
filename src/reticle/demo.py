"""What is a spatial transformer good for? Two trainings of a minute or so, with and without one; a table, pictures, a report.

``python -m reticle.demo``: a demo that was interrupted goes on where it stopped, one that is finished is replaced.
"""

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import tyro
from rich import box
from rich.console import Console
from rich.table import Table

from .recipe import Recipe, differences, load
from .report import comparison, duration, write_report
from .show import read_curve, show_run
from .train import fit
from .training.results import Result, read_result
from .training.runs import Run
from .viz import save_curves

PLAIN, TRANSFORMER = "digits/rts_clutter_cnn", "digits/rts_clutter_cnn_similarity"
PAPER = "jaderberg2015/mnist_rts_cnn_affine"
SHOWN = ("moving.gif", "evolution.gif", "window.png")


def demo(
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/demo"),
    data_dir: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None,
) -> Path:
    """Train a small network with and without a spatial transformer on real digits; write pictures and report.html.

    Args:
        out: the folder of the demo.
        data_dir: where the data's files are looked for first; the bundled digits need none.
    Returns:
        The report.
    """
    return run_demo(load(PLAIN), load(TRANSFORMER), out, data_dir=data_dir)


def run_demo(plain: Recipe, transformer: Recipe, out: Path, *, data_dir: Path | None = None) -> Path:
    """Train both recipes below ``out``, compare them, and return the report."""
    report = out / "report.html"
    runs = [Run(out / recipe.name.rpartition("/")[2]) for recipe in (plain, transformer)]
    for run, recipe in zip(runs, (plain, transformer), strict=True):
        # the report is the last thing written: with it the demo is complete
        if report.exists() or _is_other(run, recipe):
            shutil.rmtree(run.path, ignore_errors=True)
    report.unlink(missing_ok=True)
    results = [_train(recipe, run, data_dir=data_dir) for run, recipe in zip(runs, (plain, transformer), strict=True)]
    _print_table(*results)
    drawn = {file.name: file for file in show_run(runs[1].path, data_dir=data_dir)}
    pictures = [Path(shutil.copy(drawn[name], out / name)) for name in SHOWN if name in drawn]
    curves = {"without transformer": read_curve(runs[0]), "with transformer": read_curve(runs[1])}
    pictures.append(save_curves(curves, out / "curves.png"))
    write_report(report, plain=results[0], transformer=results[1], pictures=pictures, commands=_commands(runs[1]))
    return report


def main() -> None:
    """Run the demo from the command line."""
    try:
        print(f"\nThe report: {tyro.cli(demo, prog='python -m reticle.demo')}")
    except (ValueError, TypeError, OSError, FloatingPointError) as error:
        print(f"reticle.demo: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nreticle.demo: stopped; the same command goes on from the last checkpoint.", file=sys.stderr)
        sys.exit(130)


def _is_other(run: Run, recipe: Recipe) -> bool:
    """Whether ``run`` was begun with another recipe, such as one of an earlier version."""
    return run.recipe.exists() and bool(differences(load(run.recipe), recipe))


def _train(recipe: Recipe, run: Run, *, data_dir: Path | None) -> Result:
    return read_result(run) if run.result.exists() else fit(recipe, run.path, resume=True, data_dir=data_dir)


def _print_table(plain: Result, transformer: Result) -> None:
    table = Table("network", box=box.SIMPLE_HEAD, title=f"With a spatial transformer: {comparison(plain, transformer)}")
    for name in ("test error", "parameters", "training"):
        table.add_column(name, justify="right")
    for name, result in (("without transformer", plain), ("with spatial transformer", transformer)):
        table.add_row(name, f"{result.value:.1f} %", f"{result.num_params:,}", duration(result.seconds))
    Console().print(table)


def _commands(run: Run) -> dict[str, str]:
    reticle = _program()
    return {
        f"{reticle} eval {run.path}": "measure the test error again",
        f"{reticle} recipes": "every experiment, the paper's number beside the measured one",
        f"{reticle} train {TRANSFORMER} --set model.transform=tps": "the same with a thin-plate spline",
        f"{reticle} train {PAPER}": "the paper's experiment on MNIST; add --smoke for a trial of seconds",
    }


def _program() -> str:
    """What to type for the command line: its name where the environment is active, else its path, such as ``.venv/bin/reticle``."""
    beside = Path(sys.executable).with_name("reticle")
    return "reticle" if shutil.which("reticle") or not beside.exists() else os.path.relpath(beside)


if __name__ == "__main__":
    main()
