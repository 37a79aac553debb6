"""How are panels put together? A card is one image with its windows and outputs; a page is a table of cards with strips of text."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from PIL import Image, ImageDraw
from torch import Tensor

from .outline import window_pixels
from .panel import Layer, Look, input_panel, output_panel
from .style import CORNER_NAMES, CORNERS, INK, MUTED, PAGE, RIGHT, RULE, WINDOWS, WRONG, fitted, size_of, write


class View(NamedTuple):
    """What one transformer does to a batch: the ``grid`` that it samples, ``(B, h, w, 2)``, and its ``output``, ``(B, C, h, w)``.

    Of a volume: the corners of the window, ``(B, 8, 3)``, and the sum of the output along its depth.
    """

    grid: Float[Tensor, "b h w 2"] | Float[Tensor, "b 8 3"]
    output: Float[Tensor, "b c h w"]
    align_corners: bool = False


class Card(NamedTuple):
    """One image with all that belongs to it, and where its panels have their middles."""

    picture: Image.Image
    middles: list[float]


def card(image: Float[Tensor, "c h w"], views: Sequence[View], look: Look, *, captions: Sequence[tuple[str, str]]) -> Card:
    """Draw ``image`` with a window for each view, an arrow, and the outputs; ``captions`` (text, colour) go below the first panels.

    Each view holds one grid ``(h, w, 2)`` and one output ``(C, h, w)``.
    """
    panels = [windows_on(image, views, look), *(output_panel(view.output, look, colour=colour_of(i)) for i, view in enumerate(views))]
    return side_by_side(panels, look, captions=captions)


def windows_on(image: Float[Tensor, "c h w"], views: Sequence[View], look: Look) -> Image.Image:
    """Draw ``image`` with a window for each of its ``views``."""
    windows = [window_pixels(view.grid, size_of(image), align_corners=view.align_corners) for view in views]
    return input_panel(image, windows, look, colours=[colour_of(i) for i in range(len(views))])


def colour_of(number: int) -> str:
    """The colour of one of several transformers."""
    return WINDOWS[number % len(WINDOWS)]


def side_by_side(panels: Sequence[Image.Image], look: Look, *, captions: Sequence[tuple[str, str]], arrow: int = 1) -> Card:
    """Arrange ``panels`` in a row, an arrow after the first ``arrow``; ``captions`` (text, colour) go below the first of them."""
    wide, height = round(look.gap * 1.8), max(panel.height for panel in panels)
    # a narrow image still needs room for its caption
    slots = [max(panel.width, look.text * 8) for panel in panels]
    spaces = [wide if index == arrow else look.gap for index in range(1, len(panels))]
    picture = Image.new("RGB", (sum(slots) + sum(spaces), height + round(look.text * 1.6)), PAGE)
    left, middles = 0, []
    for panel, slot, space in zip(panels, slots, [*spaces, 0], strict=True):
        picture.paste(panel, (left + (slot - panel.width) // 2, (height - panel.height) // 2))
        middles.append(left + slot / 2)
        left += slot + space
    before = sum(slots[:arrow]) + sum(spaces[: arrow - 1])
    tip, middle, reach = before + wide * 0.68, height / 2, look.text * 0.36
    ImageDraw.Draw(picture).polygon([(tip, middle), (tip - reach * 1.3, middle - reach), (tip - reach * 1.3, middle + reach)], fill=MUTED)
    for (text, colour), at, panel in zip(captions, middles, panels, strict=False):
        short, size = fitted(text, look.text, panel.width + look.gap)
        write(picture, (at, picture.height - look.text * 0.7), short, size=size, fill=colour)
    return Card(picture, middles)


def verdict(truth: str | None, prediction: str | None, *, named: bool = False) -> list[tuple[str, str]]:
    """Return the captions below an input and its output: the true class, and the predicted one with a tick or a cross.

    Names speak for themselves; numbers are introduced by "true" and "predicted".
    """
    true = ("" if truth is None else truth if named else f"true {truth}", MUTED)
    if prediction is None:
        return [true]
    if truth is None:
        return [true, (prediction if named else f"predicted {prediction}", INK)]
    mark, colour = ("✓", RIGHT) if prediction == truth else ("✗", WRONG)
    # a long name may be cut at its end
    return [true, (f"{mark} {prediction}" if named else f"predicted {prediction} {mark}", colour)]


def table(cards: Sequence[Card], look: Look, *, columns: int, heads: Sequence[str]) -> Image.Image:
    """Arrange equal ``cards`` in rows of ``columns``, with ``heads`` above the panels of the first row."""
    columns = min(columns, len(cards))
    width, height = cards[0].picture.size
    rows, between, below = -(-len(cards) // columns), look.gap * 3, round(look.text * 0.5)
    head, across, down = round(look.text * 1.7), width + between, height + below
    page = Image.new("RGB", (across * columns - between, head + down * rows - below), PAGE)
    for index, (picture, middles) in enumerate(cards):
        row, column = divmod(index, columns)
        page.paste(picture, (column * across, head + row * down))
        for middle, text in zip(middles if row == 0 else (), heads, strict=False):
            write(page, (column * across + middle, head * 0.42), text, size=look.text, fill=MUTED)
    return page


def legend(look: Look) -> Image.Image:
    """Say what the four dots are."""
    strip, middle = Image.new("RGB", (look.text * 44, round(look.text * 2.2)), PAGE), look.text * 1.4
    left = write(strip, (0, middle), "corners of what the network sees:", size=look.text - 1, fill=MUTED, anchor="lm") + look.text
    layer = Layer(strip.size)
    for name, colour in zip(CORNER_NAMES, CORNERS, strict=True):
        layer.dot(torch.tensor([left + look.dot * 1.75, middle]), colour, look.dot)
        left += look.dot * 3.5 + look.text * 0.4
        left += write(strip, (left, middle), name, size=look.text - 1, fill=MUTED, anchor="lm") + look.text
    return layer.onto(strip)


def progress(text: str, note: str, share: float, *, width: int, look: Look) -> Image.Image:
    """Draw a counter at the left, a note at the right and below them a strip of which ``share`` is filled."""
    strip, thick = Image.new("RGB", (width, round(look.text * 2.8)), PAGE), max(4, look.text // 3)
    write(strip, (0, look.text * 1.35), text, size=look.text, anchor="lm", bold=True)
    write(strip, (width, look.text * 1.35), note, size=look.text, fill=MUTED, anchor="rm")
    draw, top = ImageDraw.Draw(strip), strip.height - thick
    draw.rectangle((0, top, width, strip.height), fill=RULE)
    if share > 0:
        draw.rectangle((0, top, max(1, round(width * share)), strip.height), fill=WINDOWS[0])
    return strip


def stack(parts: Sequence[Image.Image], look: Look) -> Image.Image:
    """Put ``parts`` below each other on a white page."""
    border = round(look.gap * 1.2)
    page = Image.new("RGB", (max(part.width for part in parts) + 2 * border, sum(part.height for part in parts) + 2 * border), PAGE)
    top = border
    for part in parts:
        page.paste(part, (border, top))
        top += part.height
    return page


def pick(views: Sequence[View], index: int) -> list[View]:
    """Take one image's part of each view, without the batch axis."""
    return [View(view.grid[index].detach(), view.output[index].detach(), view.align_corners) for view in views]
