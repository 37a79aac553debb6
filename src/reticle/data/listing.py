"""A table of image paths and labels, as CSV: which column is which, and what is in it?"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .decode import ImageFile
from .distorted import DATASETS
from .labelled import LabelledImages, Weights
from .sources import TEST_NAMES, TRAIN, Listed, Options, find_path, load_listed, tell_left_out

COLUMNS = {
    "path": ("path", "file", "filename", "file_name", "image", "image_path"),
    "label": ("label", "class", "class_id", "target", "category"),
    "split": ("split", "set", "subset"),
}


@DATASETS.register("csv")
def listing(
    path: str | Path,
    *,
    test_path: str | Path | None = None,
    root: str | Path | None = None,
    classes: Sequence[str | int] | None = None,
    size: int | Sequence[int] = 48,
    color: bool = True,
    fit: str = "stretch",
    test_share: float = 0.2,
    split_seed: int = 0,
    class_weights: Weights = None,
    limit: int | None = None,
    on_error: str = "stop",
    workers: int | None = None,
    cache: bool = True,
    data_dir: Path | str | None = None,
) -> LabelledImages:
    """Images from a CSV file with a header: a column ``path``, a column ``label``, and perhaps ``split``.

    ``split`` says ``train``, ``test``, ``val``, ``valid`` or ``validation`` in every line. The first of the last four that is there is the
    test; the images of the others are left out, with a line that counts them.

    The usual other names of these columns are known (``file``, ``filename``, ``image``; ``class``, ``class_id``, ``target``;
    ``set``), and commas, semicolons and tabs between them.

    Args:
        path: the file; relative to the working folder, or to ``data_dir``.
        test_path: another one, all of it for the test; without it, and without a line of a test, a share is drawn at random.
        root: the folder that the paths in the file start from; its own if None.
        classes: the names of the classes, in order; labels are then names or their numbers from 0. The labels themselves if None.
        size, color, fit, test_share, split_seed, class_weights, limit, on_error, workers, cache, data_dir: as for :func:`folder`.
    Raises:
        ValueError: as for :func:`folder`; or a column is missing, a line lacks a value, a file does not exist, a label is no class, or a
            word in ``split`` is none of those, or there is no line to train on.
    """
    fn = "csv"
    table = find_path(fn, path, data_dir, kind="file")
    sets = _read(fn, table, root)
    train = sets.pop(TRAIN, Listed([], [], []))
    if test_path is not None:
        other = find_path(fn, test_path, data_dir, kind="file", argument="test_path")
        test: Listed | None = _joined(_read(fn, other, root).values())
    else:
        test = next((sets.pop(name) for name in TEST_NAMES if name in sets), None)
    for part, file, what in ((train, table, "to train on"), (test, test_path, "of images")):
        if part is not None and not part.files:
            raise ValueError(f"{fn}: {file}: must have lines {what}; got none.")
    tell_left_out(fn, {name: len(left.files) for name, left in sets.items()})
    options = Options(size, color, fit, test_share, split_seed, classes, class_weights, limit, on_error, workers, cache)
    return load_listed(fn, train, test, options)


def _joined(parts: Iterable[Listed]) -> Listed:
    joined = Listed([], [], [])
    for part in parts:
        joined.files.extend(part.files)
        joined.labels.extend(part.labels)
        joined.places.extend(part.places)
    return joined


def _read(fn: str, table: Path, root: str | Path | None) -> dict[str, Listed]:
    """The lines of each set, by its name; all are for the training if the table does not say."""
    try:
        text = table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{fn}: {table} must be a text file in UTF-8; {error}.") from None
    first = text.partition("\n")[0]
    reader = csv.DictReader(text.splitlines(), delimiter=max(",;\t", key=first.count))
    columns = _columns(fn, table, reader.fieldnames or [])
    base = table.parent if root is None else Path(root).expanduser()
    sets: dict[str, Listed] = {}
    for row in reader:
        place = f"{table}, line {reader.line_num}"
        values = {part: (row[column] or "").strip() for part, column in columns.items()}
        if not values["path"] or not values["label"]:
            raise ValueError(f"{fn}: {place}: must have a path and a label; got {row!r}.")
        file = base / values["path"]
        if not file.is_file():
            raise ValueError(f"{fn}: {place}: the image must exist; got '{file}'.\n  Paths start from {base}; root says otherwise.")
        name = values.get("split", TRAIN).lower()
        if name not in (TRAIN, *TEST_NAMES):
            known = ", ".join((TRAIN, *TEST_NAMES))
            raise ValueError(f"{fn}: {place}: the column {columns['split']!r} must be one of {known}; got {values['split']!r}.")
        part = sets.setdefault(name, Listed([], [], []))
        part.files.append(ImageFile(file))
        part.labels.append(values["label"])
        part.places.append(place)
    return sets


def _columns(fn: str, table: Path, header: Sequence[str]) -> Mapping[str, str]:
    by_name = {name.strip().lower(): name for name in header}
    found = {part: by_name[name] for part, names in COLUMNS.items() for name in reversed(names) if name in by_name}
    for part in ("path", "label"):
        if part not in found:
            known, got = ", ".join(COLUMNS[part]), ", ".join(header) or "nothing"
            raise ValueError(f"{fn}: {table} must have a column {part!r} ({known}) in its first line; got {got}.")
    return found
