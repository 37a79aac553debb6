"""Which picture does one make of a batch, of a training, of a moving input? One page, or one page a moment."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from ..checks import check_positive_int, check_shape
from .cards import Card, View, card, colour_of, legend, pick, progress, side_by_side, stack, table, verdict, windows_on
from .outline import is_bent, overshoot, window_pixels
from .panel import Look, output_panel
from .style import INK, MUTED, size_of
from .volume import HEADS, SIDES, box_overshoot, bright, side_of, volume_card

GRID_LINES = 7
FAR = 4.0  # in normalised coordinates: farther windows are off every picture


class Snapshot(NamedTuple):
    """What a network did at one step of its training: its transformers' ``views``, and what it predicted, ``(B,)`` or several an image."""

    step: int
    views: Sequence[View]
    predictions: Int[Tensor, "b *answers"] | None = None


def window_picture(
    images: Float[Tensor, "b c h w"],
    views: Sequence[View],
    *,
    labels: Int[Tensor, "b *answers"] | None = None,
    predictions: Int[Tensor, "b *answers"] | None = None,
    names: Sequence[str] = (),
    captions: Sequence[tuple[str, str]] | None = None,
    columns: int = 2,
    side: int = 168,
) -> Image.Image:
    """Draw each image with the sampled windows on it, beside it what came out, below both the true and the predicted class.

    Args:
        images: one, two or three channels, values in [0, 1]; or volumes ``(B, C, D, H, W)``.
        views: one for each transformer that reads the images; of volumes the first is drawn.
        names: of the classes; numbers stand for them if there are none.
        captions: other texts for below each input and its first output.
        columns: how many images side by side.
        side: length in pixels of an enlarged image's longer side.
    Raises:
        ValueError: shapes do not fit, or the number of channels is not 1, 2 or 3.
    """
    look = _look(images, views, side=side)
    below = [[(text, MUTED if first else INK) for first, text in ((True, a), (False, b))] for a, b in captions] if captions else None
    page = _table(images, views, look, labels=labels, predictions=predictions, columns=columns, names=names, captions=below)
    return stack([page, legend(look)], look)


def evolution_frames(
    images: Float[Tensor, "b c h w"],
    snapshots: Sequence[Snapshot],
    *,
    labels: Int[Tensor, "b *answers"] | None = None,
    total: int | None = None,
    names: Sequence[str] = (),
    columns: int = 2,
    side: int = 126,
) -> list[Image.Image]:
    """Draw what the transformers did to the same ``images`` at each snapshot, with a counter and a strip that fills up to ``total`` steps.

    Raises:
        ValueError: shapes do not fit, or there is no snapshot.
    """
    if not snapshots:
        raise ValueError("reticle.viz.evolution_frames: `snapshots` must hold at least one; got none.")
    look = _look(images, [view for snapshot in snapshots for view in snapshot.views], side=side)
    total = total or max(snapshot.step for snapshot in snapshots)
    frames = []
    for step, views, predictions in snapshots:
        page = _table(images, views, look, labels=labels, predictions=predictions, columns=columns, names=names)
        note = "before training" if step == 0 else _score(labels, predictions)
        counter = progress(f"step {step:,} / {total:,}", note, step / max(total, 1), width=page.width, look=look)
        frames.append(stack([page, counter], look))
    return frames


def evolution_picture(
    images: Float[Tensor, "b c h w"], snapshots: Sequence[Snapshot], *, rows: int = 5, moments: int = 6, side: int = 105
) -> Image.Image:
    """Draw the way of the windows on one page: a row for each image, a column for each moment, and at its end what came out last.

    The moments are the first snapshot, the last, and between them those at which the windows, for the first time, were nearer to where
    they end by equal steps; there may be fewer than asked for. Volumes are seen from the front, with the first of their windows.

    Args:
        rows: how many of the images.
        moments: how many columns with windows, at least 2.
        side: length in pixels of an enlarged image's longer side.
    Raises:
        ValueError: shapes do not fit, there is no snapshot, ``rows`` is not positive, or ``moments`` is not a whole number of at least 2.

    Reference: Jaderberg et al. 2015, Figure 4.
    """
    check_positive_int("reticle.viz.evolution_picture", "rows", rows)
    if not isinstance(moments, int) or moments < 2:
        fix = "The first and the last are two."
        raise ValueError(f"reticle.viz.evolution_picture: `moments` must be a whole number of at least 2; got {moments}.\n  {fix}")
    if not snapshots:
        raise ValueError("reticle.viz.evolution_picture: `snapshots` must hold at least one; got none.")
    shapes = {tuple(tuple(view.grid.shape) for view in snapshot.views) for snapshot in snapshots}
    if len(shapes) > 1 or () in shapes:
        raise ValueError(
            f"reticle.viz.evolution_picture: `snapshots` must all have the same views, with grids of one size; got {sorted(shapes)}."
        )
    look, chosen = _look(images, [view for snapshot in snapshots for view in snapshot.views], side=side), _on_the_way(snapshots, moments)
    ways = [_way(image, [pick(snapshot.views, index) for snapshot in chosen], look) for index, image in enumerate(images[:rows])]
    heads = [*(f"step {snapshot.step:,}" for snapshot in chosen), *_heads(chosen[-1].views, "", "sees")[1:]]
    return stack([table(ways, look, columns=1, heads=heads), legend(look)], look)


def _on_the_way(snapshots: Sequence[Snapshot], count: int) -> list[Snapshot]:
    # how far the windows still are from where they end: unlike the length of the way, it does not count how they tremble
    *_, end = points = [torch.cat([_bounded(view.grid).flatten() for view in snapshot.views]) for snapshot in snapshots]
    left = torch.stack([(point - end).abs().mean() for point in points])
    shares = torch.linspace(1, 0, count)[:, None]
    first = set((left <= shares * left[0]).int().argmax(dim=1).tolist())
    return [snapshots[index] for index in sorted(first | {len(snapshots) - 1})]


def _bounded(grid: Tensor) -> Tensor:
    """Points that are far away, or nowhere, are all as far away as a picture can show."""
    return torch.nan_to_num(grid.detach().float().cpu(), nan=FAR, posinf=FAR, neginf=-FAR).clamp(-FAR, FAR)


def _way(image: Tensor, views: Sequence[Sequence[View]], look: Look) -> Card:
    if image.ndim == 4:
        panels, out = [side_of(image, view[0], look, *SIDES[0]) for view in views], [bright(views[-1][0].output)]
    else:
        panels, out = [windows_on(image, view, look) for view in views], [view.output for view in views[-1]]
    outputs = [output_panel(output, look, colour=colour_of(number)) for number, output in enumerate(out)]
    return side_by_side(panels + outputs, look, captions=(), arrow=len(panels))


def moving_frames(
    images: Float[Tensor, "t c h w"],
    views: Sequence[View],
    *,
    label: int | None = None,
    predictions: Int[Tensor, "t"] | None = None,
    names: Sequence[str] = (),
    side: int = 210,
) -> list[Image.Image]:
    """Draw one frame for each of ``images``, the moments of one input that moves: the input at the left, the output at the right."""
    look = _look(images, views, side=side)
    frames = []
    for index, image in enumerate(images):
        captions = verdict(_text(label, names), _at(predictions, index, names), named=bool(names))
        moment = card(image, pick(views, index), look, captions=captions)
        frames.append(stack([table([moment], look, columns=1, heads=_heads(views, "in", "out"))], look))
    return frames


def _table(
    images: Tensor,
    views: Sequence[View],
    look: Look,
    *,
    labels: Tensor | None,
    predictions: Tensor | None,
    columns: int,
    names: Sequence[str] = (),
    captions: Sequence[Sequence[tuple[str, str]]] | None = None,
) -> Image.Image:
    captions = captions or [
        verdict(_at(labels, index, names), _at(predictions, index, names), named=bool(names)) for index in range(len(images))
    ]
    if images.ndim == 5:
        solid = [volume_card(volume, pick(views, i)[0], look, captions=captions[i]) for i, volume in enumerate(images)]
        return table(solid, look, columns=columns, heads=HEADS)
    cards = [card(image, pick(views, index), look, captions=captions[index]) for index, image in enumerate(images)]
    return table(cards, look, columns=columns, heads=_heads(views, "input", "network sees"))


def _heads(views: Sequence[View], first: str, others: str) -> list[str]:
    if len(views) == 1:
        return [first, others]
    return [first, *(f"{others} {number}" for number in range(1, len(views) + 1))]


def _look(images: Tensor, views: Sequence[View], *, side: int) -> Look:
    solid = images.ndim == 5
    check_shape("reticle.viz", "images", images, "B C D H W" if solid else "B C H W")
    if images.shape[1] not in (1, 2, 3) or len(images) == 0:
        raise ValueError(f"reticle.viz: `images` must hold at least one image of one to three channels; got {tuple(images.shape)}.")
    for view in views:
        check_shape("reticle.viz", "grid", view.grid, "B 8 3" if solid else "B H W 2", B=len(images))
        check_shape("reticle.viz", "output", view.output, "B C H W", B=len(images), C=images.shape[1])
    if solid:
        return Look(side, min(max([0.06, *(box_overshoot(view) + 0.05 for view in views)]), 0.32))
    size = size_of(images)
    beyond = [overshoot(window_pixels(view.grid, size, align_corners=view.align_corners), size) for view in views]
    # room for the dots always, and for windows that look past the image, up to a third of it
    margin = min(max([0.06, *(share + 0.05 for share in beyond)]), 0.32)
    return Look(side, margin, GRID_LINES if any(is_bent(view.grid) for view in views) else 0)


def _at(classes: Tensor | None, index: int, names: Sequence[str]) -> str | None:
    """One image's class in words, or its classes where it has several."""
    return None if classes is None else " ".join(str(_text(number, names)) for number in classes[index].reshape(-1).tolist())


def _text(number: int | None, names: Sequence[str]) -> str | None:
    return None if number is None else names[number] if names else str(number)


def _score(labels: Tensor | None, predictions: Tensor | None) -> str:
    if labels is None or predictions is None:
        return ""
    right = (labels.cpu() == predictions.cpu()).reshape(len(labels), -1).all(1)
    return f"{int(right.sum())} of {len(labels)} right"
