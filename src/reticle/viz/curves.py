"""How did a training go? Loss and test error against steps, of one run or of several in one picture."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .style import INK, MUTED, PAGE, RULE, SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Curve:
    """The record of one run: (step, loss) and (step, test error)."""

    loss: Sequence[tuple[int, float]] = field(default_factory=list)
    test_error: Sequence[tuple[int, float]] = field(default_factory=list)


def save_curves(curves: Mapping[str, Curve], path: Path, *, unit: str = "%") -> Path:
    """Draw ``curves``, by their names, as a PNG: the loss smoothed, on a logarithmic axis, and the error on the test set, in ``unit``.

    Raises:
        ValueError: no curve holds a point.
    """
    if not any(curve.loss or curve.test_error for curve in curves.values()):
        raise ValueError("reticle.viz.save_curves: `curves` must hold at least one point; got none.\n  The run has not logged a step yet.")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 3.7), dpi=125, facecolor=PAGE, layout="constrained")
    loss, error = figure.subplots(1, 2)
    colours = dict(zip(curves, itertools.cycle(SERIES), strict=False))
    for name, curve in curves.items():
        _draw_loss(loss, curve.loss, name=name, colour=colours[name])
        _draw_error(error, curve.test_error, name=name, colour=colours[name])
    last = max(step for curve in curves.values() for step, _ in (*curve.loss, *curve.test_error))
    _dress(loss, "training loss", last=last)
    _dress(error, f"test error, {unit}", last=last)
    _number_loss(loss)
    error.set_ylim(bottom=0)
    _name_ends(error, [(colours[name], *curve.test_error[-1]) for name, curve in curves.items() if curve.test_error], unit=unit)
    if len(curves) > 1:
        (error if error.lines else loss).legend(frameon=False, labelcolor=INK, fontsize=10, loc="best")
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure).print_png(path, metadata={"Software": None})
    return path


def smooth(values: Sequence[float], weight: float) -> list[float]:
    """Average each value with those before it, which count ``weight`` times less at each step back; unbiased from the first value on."""
    total, count, means = 0.0, 0.0, []
    for value in values:
        total, count = weight * total + value, weight * count + 1
        means.append(total / count)
    return means


def _draw_loss(axes: "Axes", points: Sequence[tuple[int, float]], *, name: str, colour: str) -> None:
    points = [(step, value) for step, value in points if value > 0 and math.isfinite(value)]
    if not points:
        return
    steps, values = zip(*points, strict=True)
    axes.plot(steps, values, color=colour, alpha=0.22, linewidth=0.8)
    # a window of a twentieth of the record, whatever its length
    axes.plot(steps, smooth(values, max(0.0, 1 - 20 / max(len(values), 20))), color=colour, linewidth=2, label=name)
    axes.set_yscale("log")


def _draw_error(axes: "Axes", points: Sequence[tuple[int, float]], *, name: str, colour: str) -> None:
    if not points:
        return
    steps, values = zip(*points, strict=True)
    axes.plot(steps, values, color=colour, linewidth=2, marker="o", markersize=4, label=name)


def _number_loss(axes: "Axes") -> None:
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    if axes.get_yscale() == "log":
        low, high = axes.get_ylim()
        # decades alone would leave a short axis with a single number
        subs = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0) if high / low < 8 else (1.0, 2.0, 5.0) if high / low < 300 else (1.0,)
        axes.yaxis.set_major_locator(LogLocator(subs=subs))
        axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def _name_ends(axes: "Axes", ends: Sequence[tuple[str, int, float]], *, unit: str) -> None:
    """Write the last value of each line (colour, step, value) at its end, in its colour, lines that end close by apart from each other."""
    lowest, apart = 0.0, axes.get_ylim()[1] * 0.06
    for colour, step, value in sorted(ends, key=lambda end: end[2]):
        place = max(lowest, value)
        axes.annotate(
            f"{value:.1f} {unit}", (step, place), xytext=(8, 0), textcoords="offset points", color=colour, va="center", fontsize=10
        )
        lowest = place + apart


def _dress(axes: "Axes", title: str, *, last: int) -> None:
    from matplotlib.ticker import EngFormatter

    axes.set_xlim(-0.02 * last, 1.03 * max(last, 1))
    axes.set_title(title, loc="left", fontsize=12, color=INK, pad=10)
    axes.set_xlabel("step", fontsize=10, color=MUTED)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(RULE)
    axes.tick_params(which="both", colors=MUTED, labelsize=10)
    axes.grid(axis="y", color="#eceef1", linewidth=0.8)
    axes.set_axisbelow(True)
