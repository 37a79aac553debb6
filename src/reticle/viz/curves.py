"""How did a training go? Loss and test error against steps, of one run or of several in one picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .style import INK, MUTED, PAGE, RULE, SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Curve:
    """The record of one run: (step, loss) and (step, test error in percent)."""

    loss: Sequence[tuple[int, float]] = field(default_factory=list)
    test_error: Sequence[tuple[int, float]] = field(default_factory=list)


def save_curves(curves: Mapping[str, Curve], path: Path) -> Path:
    """Draw ``curves``, by their names, as a PNG: the loss smoothed, on a logarithmic axis, and the error on the test set.

    Raises:
        ValueError: no curve holds a point.
    """
    if not any(curve.loss or curve.test_error for curve in curves.values()):
        raise ValueError("reticle.viz.save_curves: `curves` must hold at least one point; got none.\n  The run has not logged a step yet.")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 3.7), dpi=125, facecolor=PAGE, layout="constrained")
    figure.get_layout_engine().set(wspace=0.06, w_pad=0.08, h_pad=0.08)
    loss, error = figure.subplots(1, 2)
    for (name, curve), colour in zip(curves.items(), SERIES * (len(curves) // len(SERIES) + 1), strict=False):
        _draw_loss(loss, curve.loss, name=name, colour=colour)
        _draw_error(error, curve.test_error, name=name, colour=colour)
    _dress(loss, "training loss")
    _dress(error, "test error, %")
    _finish(loss, error)
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure).print_png(path, metadata={"Software": None})
    return path


def smooth(values: Sequence[float], weight: float) -> list[float]:
    """Average each value with those before it, which count ``weight`` times less at each step back; the first values are not biased to 0."""
    total, count, means = 0.0, 0.0, []
    for value in values:
        total, count = weight * total + value, weight * count + 1
        means.append(total / count)
    return means


def _draw_loss(axes: "Axes", points: Sequence[tuple[int, float]], *, name: str, colour: str) -> None:
    points = [(step, value) for step, value in points if value > 0]
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


def _finish(loss: "Axes", error: "Axes") -> None:
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    if loss.get_yscale() == "log":
        low, high = loss.get_ylim()
        # decades alone would leave a short axis with a single number
        loss.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < 300 else (1.0,)))
        loss.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        loss.yaxis.set_minor_formatter(NullFormatter())
    error.set_ylim(bottom=0)
    _name_ends(error)
    named = error if error.lines else loss
    if len(named.get_legend_handles_labels()[1]) > 1:
        named.legend(frameon=False, labelcolor=INK, fontsize=10, loc="upper right")


def _name_ends(axes: "Axes") -> None:
    """Write the last value of each line at its end, apart from its neighbours."""
    floor, apart = 0.0, axes.get_ylim()[1] * 0.06
    for line in sorted(axes.lines, key=lambda line: line.get_ydata()[-1]):
        step, value = line.get_xdata()[-1], line.get_ydata()[-1]
        floor = max(floor, value)
        axes.annotate(
            f"{value:.1f} %", (step, floor), xytext=(8, 0), textcoords="offset points", color=line.get_color(), va="center", fontsize=10
        )
        floor += apart


def _dress(axes: "Axes", title: str) -> None:
    from matplotlib.ticker import EngFormatter

    axes.set_title(title, loc="left", fontsize=12, color=INK, pad=10)
    axes.set_xlabel("step", fontsize=10, color=MUTED)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(RULE)
    axes.tick_params(which="both", colors=MUTED, labelsize=10)
    axes.grid(axis="y", color="#eceef1", linewidth=0.8)
    axes.set_axisbelow(True)
