"""Which tables do README and docs hold? The ones made here, from registries and results; none is written by hand.

Run by ``make docs``. A test compares what the files hold with what this makes.
"""

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import torch

from reticle import MODES, PADDING_MODES, TRANSFORMS
from reticle.bench import Suite
from reticle.bench import table as bench
from reticle.sampling import BACKENDS, Spec, native
from reticle.training.results import table
from reticle.transforms import AbstractMatrixTransform

ROOT = Path(__file__).parents[1]
FILES = (
    *("README.md", "docs/choose-a-transform.md", "docs/choose-a-mode.md", "docs/reproductions.md", "docs/gtsrb.md"),
    *("docs/performance.md", "benchmarks/README.md"),
)
RESULTS = ROOT / "benchmarks" / "results"


def transforms() -> str:
    """Every registered family: its class, what it does, its parameters and what it offers."""
    rows = [("name", "class", "what it does", "θ in 2-D", "in 3-D", "matrix, inverse")]
    for name, family in sorted(TRANSFORMS.items(), key=lambda item: item[1]().num_params):
        volumes = str(family(ndim=3).num_params) if "ndim" in inspect.signature(family).parameters else "–"
        closed = "yes" if issubclass(family, AbstractMatrixTransform) else "–"
        rows.append((f"`{name}`", f"`{family.__name__}`", _title(family), str(family().num_params), volumes, closed))
    return _markdown(rows)


def modes() -> str:
    """Every registered mode: its width, what it reproduces, and the fastest backend that has it."""
    rows = [("name", "what it is", "pixels per axis", "exact for", "CPU backend of images, by padding")]
    exact = {-1: "–", 0: "constants", 1: "ramps", 2: "parabolas"}
    for name, mode in sorted(MODES.items(), key=lambda item: item[1].support):
        chosen: dict[str, list[str]] = {}
        for padding_mode in PADDING_MODES:
            spec = Spec("cpu", torch.float32, 2, name, padding_mode, False)
            # whether it was built here or not
            backend = next(b.name for b in BACKENDS if (native.lacks if b.name == "native" else b.refuses)(spec) is None)
            chosen.setdefault(backend, []).append(padding_mode)
        backends = "; ".join(f"{b}: {', '.join(p)}" for b, p in chosen.items()) if len(chosen) > 1 else next(iter(chosen))
        rows.append((f"`{name}`", _title(mode.phi), str(mode.support), exact[mode.exact_degree], backends))
    return _markdown(rows)


def paper() -> str:
    """The experiments of the paper that have been run, with the paper's number beside the measured one."""
    return table("jaderberg2015/", measured_only=True)


def experiments() -> str:
    """Every recipe, whether it has been run or not."""
    return table()


def signs() -> str:
    """The experiments on traffic signs."""
    return table("moodstocks2015/") + "\n" + table("gtsrb/")


def measured(part: Callable[[Suite | None], str], device: str = "cpu") -> Callable[[], str]:
    """A table of the newest committed benchmark of a device."""
    return lambda: part(bench.latest(RESULTS, device))


TABLES: dict[str, Callable[[], str]] = {
    **{"transforms": transforms, "modes": modes, "paper": paper, "experiments": experiments, "signs": signs, "cases": bench.cases},
    **{"speed": measured(bench.short), "everybody": measured(bench.full), "losses": measured(bench.losses)},
    **{
        f"gpu_{name}": measured(getattr(bench, part), "cuda")
        for name, part in (("speed", "full"), ("memory", "memory"), ("machine", "machine"))
    },
    "elsewhere": lambda: bench.elsewhere(RESULTS),
    **{"memory": measured(bench.memory), "machine": measured(bench.machine), "refusals": measured(bench.refusals)},
}


def renewed(text: str) -> str:
    """``text`` with a fresh table between each pair of markers ``<!-- table NAME -->`` and ``<!-- end -->``."""

    def fill(match: re.Match[str]) -> str:
        return f"{match[1]}\n{TABLES[match[2]]().strip()}\n{match[3]}"

    return re.sub(r"(<!-- table (\w+) -->)\n.*?(<!-- end -->)", fill, text, flags=re.DOTALL)


def _title(thing: object) -> str:
    """The first sentence of a docstring, up to its formula, as Markdown."""
    line = inspect.cleandoc(thing.__doc__ or "").split("\n")[0]
    return re.split(r"[.;:](?:\s|$)", line)[0].replace("``", "`")


def _markdown(rows: list[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join([lines[0], "| " + " | ".join("---" for _ in rows[0]) + " |", *lines[1:]])


if __name__ == "__main__":
    for name in FILES:
        file = ROOT / name
        file.write_text(renewed(file.read_text(encoding="utf-8")), encoding="utf-8")
