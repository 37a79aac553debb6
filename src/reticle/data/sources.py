"""How do lists of somebody's images become a data set? Classes are named, the test images set apart, all decoded, faults told at once."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .cache import cached, stamp
from .decode import FITS, Format, ImageFile, decode_files
from .labelled import Labelled, LabelledImages, Weights
from .order import ORDER, check_whole, generator

ON_ERROR = ("stop", "skip")
TRAIN = "train"
TEST_NAMES = ("test", "val", "valid", "validation")  # of folders, and in tables: the first that is there is the test


class Listed(NamedTuple):
    """Image files, the class of each as text, and where that stands, for messages."""

    files: list[ImageFile]
    labels: list[str]
    places: list[str]

    def rows(self, index: Sequence[int]) -> "Listed":
        """Some of the images."""
        return Listed([self.files[i] for i in index], [self.labels[i] for i in index], [self.places[i] for i in index])


class Options(NamedTuple):
    """What all data sets of files have in common; see :func:`reticle.data.folder`."""

    size: int | Sequence[int] = 48
    color: bool = True
    fit: str = "stretch"
    test_share: float = 0.2
    split_seed: int = 0
    classes: Sequence[str | int] | None = None
    class_weights: Weights = None
    limit: int | None = None
    on_error: str = "stop"
    workers: int | None = None
    cache: bool = True


def load_listed(fn: str, train: Listed, test: Listed | None, options: Options) -> LabelledImages:
    """Decode the images of both lists; without a ``test`` list a part of ``train`` is set apart.

    Raises:
        ValueError: an argument is wrong, classes differ or are empty, a label is unknown or an image does not decode.
    """
    want = _format(fn, options)
    names = name_classes(fn, train.labels, None if test is None else test.labels, options.classes)
    if test is None:
        apart = set_apart(encode(fn, train, names), fn=fn, share=options.test_share, seed=options.split_seed)
        train, test = train.rows(np.flatnonzero(~apart).tolist()), train.rows(np.flatnonzero(apart).tolist())
    labels = np.concatenate([encode(fn, part, names) for part in (train, test)])
    files = [*train.files, *test.files]

    def decode() -> dict[str, np.ndarray]:
        images, good = decode_files(files, want, on_error=options.on_error, workers=options.workers, name=fn)
        return {"images": images, "good": good}

    key = [want, options.on_error, stamp(file.path for file in files), [file.member for file in files]]
    decoded = cached("files", key, decode, enabled=options.cache)
    good = np.asarray(decoded["good"])
    _tell_skipped(fn, [file for file, kept in zip(files, good, strict=True) if not kept], len(files))
    # the training images come first, so that both parts stay in the cache's file
    border = int(good[: len(train.files)].sum())
    labels = labels[good]
    parts = (Labelled(decoded["images"][part], labels[part]) for part in (slice(None, border), slice(border, None)))
    return build_set(fn, *parts, names=names, options=options, want=want)


def build_set(fn: str, train: Labelled, test: Labelled, *, names: Sequence[str], options: Options, want: Format) -> LabelledImages:
    """The data set, once it is sure that there is something to learn and to test."""
    for part, split in (("train", train), ("test", test)):
        if len(split.labels) == 0:
            fix = "Give more images, a larger test_share or test images of their own." if part == "test" else "Give more images."
            raise ValueError(f"{fn}: there must be at least one {part} image; got none.\n  {fix}")
    if missing := [name for label, name in enumerate(names) if label not in set(train.labels.tolist())]:
        raise ValueError(f"{fn}: every class must have a training image; {missing[0]!r} has none.\n  Remove the class, or give it images.")
    return LabelledImages(train, test, classes=names, class_weights=options.class_weights, limit=options.limit, want=want)


def name_classes(
    fn: str, train: Sequence[str], test: Sequence[str] | None = None, given: Sequence[str | int] | None = None
) -> tuple[str, ...]:
    """The names of the classes: those that are ``given``, or the labels of the training images, sorted, numbers as numbers.

    Raises:
        ValueError: names come twice, there are fewer than two, or the test images have other classes.
    """
    names = tuple(map(str, given)) if given is not None else sort_labels(train)
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"{fn}: `classes` must be different names; got {twice[0]!r} twice.")
    if len(names) < 2:
        fix = "Nothing can be told apart: does the path lead one folder too deep?"
        raise ValueError(f"{fn}: there must be at least two classes; got {', '.join(map(repr, names)) or 'none'}.\n  {fix}")
    if test is not None and given is None:
        extra, lacking = sorted(set(test) - set(train)), sorted(set(train) - set(test))
        if extra or lacking:
            parts = [f"only test has {', '.join(extra)}"] * bool(extra) + [f"only train has {', '.join(lacking)}"] * bool(lacking)
            raise ValueError(f"{fn}: train and test must have the same classes; {' and '.join(parts)}.\n  Name them alike in both.")
    return names


def sort_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """The different labels in order: ``("2", "10")``, but ``("a10", "a2")``."""
    different = set(labels)
    numbers = all(label.isascii() and label.lstrip("-").isdigit() for label in different)
    return tuple(sorted(different, key=int if numbers else str))


def encode(fn: str, listed: Listed, names: Sequence[str]) -> np.ndarray:
    """Labels as indices into ``names``; where these are given, a label may also be the index itself.

    Raises:
        ValueError: a label is neither; the message says where it stands.
    """
    known: Mapping[str, int] = {str(index): index for index in range(len(names))} | {name: index for index, name in enumerate(names)}
    for label, place in zip(listed.labels, listed.places, strict=True):
        if label not in known:
            listing = f"one of the {len(names)} classes ({', '.join(names[:6])}{', ...' if len(names) > 6 else ''})"
            raise ValueError(f"{fn}: {place}: the label must be {listing} or a number from 0 to {len(names) - 1}; got {label!r}.")
    return np.array([known[label] for label in listed.labels], dtype=np.int64)


def set_apart(labels: np.ndarray, *, fn: str, share: float, seed: int) -> np.ndarray:
    """Mark the test images: of each class the same ``share``, at random; a class of one image keeps it for the training."""
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
        raise ValueError(f"{fn}: `test_share` must be a number between 0 and 1; got {share!r}.")
    check_whole("split_seed", seed, 0, fn)
    apart = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        count = min(max(1, round(share * len(of_class))), len(of_class) - 1)
        apart[generator(ORDER, int(label), seed).permutation(of_class)[:count]] = True
    return apart


def find_path(fn: str, path: str | Path, data_dir: Path | str | None, *, kind: str, argument: str = "path") -> Path:
    """``path`` itself, or below ``data_dir``.

    Raises:
        ValueError: it is at neither place, or is no ``kind`` (``file`` or ``folder``).
    """
    places = [Path(path).expanduser(), *([Path(data_dir) / path] if data_dir else [])]
    for place in places:
        if place.is_dir() if kind == "folder" else place.is_file():
            return place
    looked = ", ".join(str(place.absolute()) for place in places)
    raise ValueError(f"{fn}: `{argument}` must be an existing {kind}; got '{path}'.\n  Looked at {looked}.")


def as_size(fn: str, size: int | Sequence[int]) -> tuple[int, int]:
    """``size`` as (H, W).

    Raises:
        ValueError: it is neither a positive whole number nor two.
    """
    both = tuple(size) if isinstance(size, Sequence) else (size, size)
    if len(both) != 2 or not all(isinstance(n, Integral) and not isinstance(n, bool) and n > 0 for n in both):
        raise ValueError(f"{fn}: `size` must be a positive whole number, or two, (H, W); got {size!r}.")
    return int(both[0]), int(both[1])


def _format(fn: str, options: Options) -> Format:
    size = as_size(fn, options.size)
    for argument, value, known in (("fit", options.fit, FITS), ("on_error", options.on_error, ON_ERROR)):
        if value not in known:
            raise ValueError(f"{fn}: `{argument}` must be one of {', '.join(known)}; got {value!r}.")
    if options.workers is not None:
        check_whole("workers", options.workers, 0, fn)
    return Format(size, 3 if options.color else 1, options.fit)


def tell_left_out(fn: str, counts: Mapping[str, int]) -> None:
    """Say that sets of images are used neither for the training nor for the test."""
    if counts:
        listed = ", ".join(f"{name} ({count:,} images)" for name, count in counts.items())
        print(f"{fn}: neither trained on nor tested on, as there is another test: {listed}", file=sys.stderr)


def _tell_skipped(fn: str, skipped: Sequence[ImageFile], total: int) -> None:
    if skipped:
        listed = ", ".join(map(str, skipped[:3])) + (", ..." if len(skipped) > 3 else "")
        print(f"{fn}: {len(skipped)} of {total:,} images do not decode and are left out: {listed}", file=sys.stderr)
