"""GTSRB: 39,209 + 12,630 photographs of German traffic signs in 43 classes, found in a folder or downloaded once."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from .cache import cached, stamp
from .decode import Format, decode_files
from .distorted import DATASETS
from .gtsrb_files import CLASSES, Signs, find_archives, read_signs
from .labelled import Labelled, LabelledImages, Weights
from .order import class_by_class, generator

FILM = 14  # the class whose track moves in the pictures: a stop sign


class SignImages(LabelledImages):
    """Traffic signs: :class:`LabelledImages` that know their tracks and boxes, for pictures and analysis; training sees neither.

    Args:
        train, test: the images.
        signs: what is known of each training and each test image.
        film: the images of one track, from far to near.
        options: as for :class:`LabelledImages`.
    """

    def __init__(self, train: Labelled, test: Labelled, *, signs: tuple[Signs, Signs], film: Labelled, **options: Any) -> None:
        super().__init__(train, test, **options)
        self.train_signs, self.test_signs = signs
        self.film = film

    def moving(self) -> tuple[Float[Tensor, "t c h w"], Int[Tensor, " t"]]:
        """A sign coming nearer: the images of one track of the camera, with their labels."""
        return self._take(self.film, np.arange(len(self.film.labels)), "cpu")


@DATASETS.register("gtsrb")
def gtsrb(
    *,
    size: int = 48,
    validation: bool = False,
    class_weights: Weights = None,
    limit: int | None = None,
    data_dir: Path | str | None = None,
) -> SignImages:
    """The German traffic signs, each photograph whole, brought to ``size`` x ``size`` pixels without regard to its proportions.

    The archives are looked for in ``data_dir``, in ``$RETICLE_DATA`` (both also in their ``gtsrb`` and ``GTSRB``) and in the user's
    cache, and otherwise downloaded there: the three official ones, or JPEGs in ``train-*.zip`` and ``test.zip`` beside ``train.csv``
    and ``test.csv``. The decoded pixels are kept in the cache.

    Args:
        size: side of the images that come out, in pixels.
        validation: test on one random track of each class of the training set, which is left out of the training; the official
            test set stays unseen.
        class_weights, limit: as for :class:`LabelledImages`.
        data_dir: an existing folder.
    Raises:
        ValueError: a folder does not exist, or an archive is damaged.
        FileNotFoundError: an archive is nowhere and cannot be downloaded.

    Reference: Stallkamp, Schlipsing, Salmen & Igel 2012.
    """
    train, test = read_signs(find_archives(data_dir))
    want = Format((size, size))

    def decode() -> dict[str, np.ndarray]:
        return {name: decode_files(signs.files, want, name=f"GTSRB, {name}")[0] for name, signs in (("train", train), ("test", test))}

    archives = sorted({file.path for signs in (train, test) for file in signs.files})
    pixels = cached("gtsrb", [want, stamp(archives)], decode)
    chosen, held_out = np.arange(len(train.labels)), np.arange(len(test.labels))
    if validation:
        held = one_track_of_each(train)
        chosen, held_out, test, pixels["test"] = np.flatnonzero(~held), np.flatnonzero(held), train, pixels["train"]
    shown = _first_track(train, FILM, among=held_out if validation else chosen)
    film = Labelled(pixels["train"][shown], train.labels[shown])
    chosen, held_out = _limited(chosen, train, limit), _limited(held_out, test, limit)
    return SignImages(
        Labelled(_rows(pixels["train"], chosen), train.labels[chosen]),
        Labelled(_rows(pixels["test"], held_out), test.labels[held_out]),
        signs=(train.rows(chosen), test.rows(held_out)),
        film=film,
        classes=CLASSES,
        class_weights=class_weights,
        want=want,
    )


def one_track_of_each(signs: Signs, *, seed: int = 0) -> np.ndarray:
    """Mark the images of one random track of each class: a track is one sign, seen again and again, and must not be torn apart.

    Reference: the validation split of Moodstocks 2015.
    """
    held = np.zeros(len(signs.labels), dtype=bool)
    for label in np.unique(signs.labels):
        tracks = np.unique(signs.tracks[signs.labels == label])
        chosen = generator(0, int(label), seed).choice(tracks)
        held |= (signs.labels == label) & (signs.tracks == chosen)
    return held


def _first_track(signs: Signs, label: int, *, among: np.ndarray) -> np.ndarray:
    """The first track of a class, or of any if there is none of it, in the order of time."""
    of_class = among[signs.labels[among] == label]
    first = (of_class if len(of_class) else among)[0]
    same = (signs.labels == signs.labels[first]) & (signs.tracks == signs.tracks[first])
    return np.flatnonzero(same)


def _limited(index: np.ndarray, signs: Signs, limit: int | None) -> np.ndarray:
    return index if limit is None else np.sort(index[class_by_class(signs.labels[index])[:limit]])


def _rows(pixels: np.ndarray, index: np.ndarray) -> np.ndarray:
    # all of them stay where they are: in the file
    return pixels if len(index) == len(pixels) else pixels[index]


def to_boxes(signs: Signs) -> Float[Tensor, "n 4"]:
    """The annotated boxes as ``(left, top, right, bottom)`` in normalised coordinates of the images."""
    return torch.from_numpy(signs.boxes)
