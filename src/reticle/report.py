"""What came out, on one page that can be mailed? A self-contained HTML file with the numbers and the pictures."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template

from .training.atomic import write_atomically
from .training.results import Result

CAPTIONS = {
    "moving.gif": (
        "The input moves, the output hardly does",
        "A plain digit goes round. The window follows it, so that the classifier keeps seeing nearly the same picture.",
    ),
    "evolution.gif": (
        "From before training to its end",
        "Six test images. At first the window is the whole image; step by step it learns to aim, from the labels alone.",
    ),
    "window.png": (
        "Test images after training",
        "Left what comes in, with the window that is sampled; right what the classifier gets to see.",
    ),
    "curves.png": (
        "The training",
        "Loss on the training batches, smoothed, and error on the test images, against steps.",
    ),
}
TYPES = {".gif": "image/gif", ".png": "image/png"}

READING = (
    "The orange outline on each input is the window that the network samples, and beside it stands what it reads there. "
    "The four dots are the same corners left and right, so a window that is turned on the input turns the digit back, and one with "
    "its dots in the other order would mirror it. "
    "Below stand the true class and the predicted one, with a tick or a cross."
)

STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --ink: #1f2328; --muted: #59636e; --rule: #d8dde3; --accent: #0072b2; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14171b; --card: #1d2127; --ink: #e6e9ed; --muted: #a0a8b2; --rule: #353b44; --accent: #56b4e9; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.6 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: clamp(1.6rem, 5vw, 2.2rem); line-height: 1.2; margin: 0 0 .5rem; letter-spacing: -.01em; }
h2 { font-size: 1.15rem; margin: 0 0 .25rem; }
p { margin: 0 0 1rem; max-width: 46rem; }
.lead, .note, figcaption p { color: var(--muted); }
.note { font-size: .875rem; margin-top: .75rem; }
section, figure { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; padding: 1.25rem 1.5rem; margin: 1.25rem 0; }
figcaption p { margin-bottom: .75rem; }
figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; background: #fff; border-radius: 8px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .55rem .75rem; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th { color: var(--muted); font-weight: 500; font-size: .875rem; }
tr:last-child td { border-bottom: 0; }
tr.best td { font-weight: 600; }
.big { color: var(--accent); font-weight: 700; }
pre { overflow-x: auto; background: var(--page); border: 1px solid var(--rule); border-radius: 8px; padding: .9rem 1rem; margin: .5rem 0 0;
  font: .875rem/1.7 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
@media (max-width: 40rem) { main { padding: 1.5rem .75rem 3rem; } section, figure { padding: 1rem; } th, td { padding: .5rem; } }
"""

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>$style</style>
</head>
<body>
<main>
<h1>$title</h1>
<p class="lead">$lead</p>
<section>
<div class="scroll"><table>
<tr><th>network</th><th>test error</th><th>parameters</th><th>training</th></tr>
$rows
</table></div>
<p class="note">$note</p>
</section>
<section>
<h2>How to read the pictures</h2>
<p>$reading</p>
</section>
$figures
<section>
<h2>Go on</h2>
<pre>$commands</pre>
</section>
</main>
</body>
</html>
""")


def write_report(file: Path, *, plain: Result, transformer: Result, pictures: Sequence[Path], commands: Mapping[str, str]) -> Path:
    """Write one HTML page that compares two runs and holds the pictures themselves: it needs no other file and no network.

    Args:
        file: the page.
        plain: the result of the network without a spatial transformer.
        transformer: the result of the one with it.
        pictures: PNG and GIF files, in the order of the page.
        commands: what to type next, each with what it does.
    Raises:
        FileNotFoundError: a picture is missing.
        ValueError: a picture is neither PNG nor GIF.
    """
    page = PAGE.substitute(
        title="A network that learns where to look",
        style=STYLE,
        lead=_lead(plain, transformer),
        rows="\n".join([_row("without transformer", plain), _row("with spatial transformer", transformer)]),
        note=escape(_note(plain, transformer)),
        reading=escape(READING),
        figures="\n".join(_figure(picture) for picture in pictures),
        commands="\n".join(f"{escape(command)}   # {escape(purpose)}" for command, purpose in commands.items()),
    )
    write_atomically(file, page)
    return file


def comparison(plain: Result, transformer: Result) -> str:
    """Say in a few words how the errors of two runs compare: ``58 % fewer errors``."""
    if plain.value == transformer.value:
        return "as many errors"
    if plain.value == 0:
        return "more errors"
    change = transformer.value / plain.value - 1
    return f"{abs(change):.0%} {'fewer' if change < 0 else 'more'} errors".replace("%", " %")


def duration(seconds: float) -> str:
    """``95`` as ``1 min 35 s``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _lead(plain: Result, transformer: Result) -> str:
    return (
        "Digits, turned, scaled, shifted and cluttered. The same classifier, trained for as many steps with the same learning rate, "
        f'once as it is and once behind a spatial transformer, which makes <span class="big">{comparison(plain, transformer)}</span>.'
    )


def _row(name: str, result: Result) -> str:
    cells = (name, f"{result.value:.1f} %", f"{result.num_params:,}", duration(result.seconds))
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _note(plain: Result, transformer: Result) -> str:
    ratio = f"Ratio of the errors: {transformer.value / plain.value:.2f}. " if plain.value else ""
    return (
        f"{ratio}{transformer.steps:,} steps each, seed {transformer.seed}, {transformer.hardware}, torch {transformer.torch}, "
        f"{transformer.date}. Recipes: {plain.recipe} and {transformer.recipe}."
    )


def _figure(picture: Path) -> str:
    if picture.suffix not in TYPES:
        raise ValueError(f"report: `pictures` must be PNG or GIF files; got '{picture}'.")
    title, text = CAPTIONS.get(picture.name, (picture.stem, ""))
    data = base64.b64encode(picture.read_bytes()).decode()
    image = f'<img alt="{escape(title)}" src="data:{TYPES[picture.suffix]};base64,{data}">'
    return f"<figure><figcaption><h2>{escape(title)}</h2><p>{escape(text)}</p></figcaption>{image}</figure>"
