"""Which classes are taken for which, and what do they look like on average, before the transformer and after it?"""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from .panel import Look
from .style import INK, MUTED, PAGE, RULE, fitted, to_picture, write

NAMED = 60  # classes, up to which their names are written on the axes
PAIRS = 6  # confusions that are listed


def save_confusion(confusion: Int[Tensor, "k k"], names: Sequence[str], path: Path) -> Path:
    """Draw who is taken for whom as a PNG: rows are the true classes, columns the answers, right answers left out; then the worst pairs.

    Args:
        confusion: how many images of each class (row) went into which (column).
        names: of the classes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    counts = confusion.cpu().clone()
    right, total = int(counts.diagonal().sum()), int(counts.sum())
    counts.fill_diagonal_(0)
    side = min(max(4.5, 0.19 * len(names)), 11.0)
    figure = Figure(figsize=(side + 2.6, side + 2.2), dpi=110, facecolor=PAGE, layout="constrained")
    axes = figure.subplots()
    # the root: a single mistake must be seen beside a frequent one
    scale = {"vmin": 0, "vmax": max(1.0, float(counts.max()) ** 0.5), "interpolation": "nearest"}
    axes.imshow(counts.double().sqrt().numpy(), cmap="Blues", **scale)
    # where the right answers would be
    diagonal = torch.eye(len(names)).numpy()
    axes.imshow(diagonal, cmap="Greys", vmin=0, vmax=8, alpha=diagonal, interpolation="nearest")
    axes.set_title(f"{total - right:,} of {total:,} test images in a wrong class", loc="left", fontsize=12, color=INK, pad=10)
    axes.set_xlabel(_worst(counts, names), fontsize=9, color=INK, loc="left")
    axes.tick_params(length=0, colors=MUTED, labelsize=7)
    axes.spines[:].set_color(RULE)
    if len(names) <= NAMED:
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_yticks(range(len(names)), names)
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure).print_png(path, metadata={"Software": None})
    return path


def mean_picture(
    before: Float[Tensor, "k c h w"], after: Float[Tensor, "k c i j"], names: Sequence[str], *, columns: int = 4, side: int = 96
) -> Image.Image:
    """Draw the mean image of each class, at the left, beside the mean of what a transformer makes of it.

    The sharper the right one, the more alike the images of a class have become.
    """
    look = Look(side)
    cards = [_pair(b, a, name, look) for b, a, name in zip(before, after, names, strict=True)]
    width, height = cards[0].size
    columns = min(columns, len(cards))
    rows, head = -(-len(cards) // columns), 24
    page = Image.new("RGB", (columns * width + look.gap, rows * height + head + look.gap), PAGE)
    write(
        page, (look.gap, head / 2 + 2), "mean of each class: as it comes in, and as the network sees it", size=13, fill=MUTED, anchor="lm"
    )
    for index, picture in enumerate(cards):
        row, column = divmod(index, columns)
        page.paste(picture, (column * width + look.gap, row * height + head))
    return page


def _pair(before: Tensor, after: Tensor, name: str, look: Look) -> Image.Image:
    left, right = to_picture(before, look.side), to_picture(after, look.side)
    height = max(left.height, right.height)
    picture = Image.new("RGB", (left.width + right.width + 3 * look.gap, height + 26), PAGE)
    picture.paste(left, (0, 0))
    picture.paste(right, (left.width + 4, 0))
    text, size = fitted(name, 13, left.width + right.width)
    write(picture, (0, height + 11), text, size=size, anchor="lm")
    return picture


def _worst(counts: Tensor, names: Sequence[str]) -> str:
    flat = counts.flatten()
    worst = [int(i) for i in torch.argsort(flat, descending=True, stable=True)[:PAIRS] if flat[i] > 0]
    lines = [f"{int(flat[i])} × {names[i // len(names)]} taken for {names[i % len(names)]}" for i in worst]
    return "\n" + "\n".join(lines)
