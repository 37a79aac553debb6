"""What the tests of somebody's own images share: small pictures, files, folders and tables of them."""

import csv
import io

import numpy as np
from PIL import Image

from reticle import DATASETS
from reticle.data import cache

COLOURS = {"blue": (20, 40, 200), "green": (10, 180, 60), "red": (220, 30, 10)}
BYTES = np.arange(20 * 6 * 5 * 3, dtype=np.uint32).astype(np.uint8).reshape(20, 6, 5, 3)


def use_cache(folder, monkeypatch):
    """Let ``folder`` be the user's cache."""
    monkeypatch.setattr(cache.pooch, "os_cache", lambda project: folder / project)


def picture(colour, size=(12, 10)):
    return Image.new("RGB", size, colour)


def save(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def encoded(image, kind="PNG", **options):
    memory = io.BytesIO()
    image.save(memory, kind, **options)
    return memory.getvalue()


def make_tree(root):
    """Three classes of five images each; each image a little brighter than the one before."""
    for name, colour in COLOURS.items():
        for i in range(5):
            save(root / name / f"{i}.png", picture(tuple(c + i for c in colour)))
    return root


def folder(path, **options):
    return DATASETS["folder"](path, **{"size": 8} | options)


def write_table(path, rows, delimiter=","):
    with open(path, "w", newline="", encoding="utf-8") as out:
        csv.writer(out, delimiter=delimiter).writerows(rows)
    return path
