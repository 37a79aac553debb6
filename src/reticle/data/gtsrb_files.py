"""What is in the archives of GTSRB? The official ones, and a smaller copy in JPEG: which file shows which sign, and where."""

import csv
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pooch

from .decode import ImageFile
from .download import AGAIN, fetch, roots

MIRRORS = ("https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370/",)
FOLDERS = ("", "gtsrb", "GTSRB")
TRAIN, TEST, TRUTH = "GTSRB_Final_Training_Images.zip", "GTSRB_Final_Test_Images.zip", "GTSRB_Final_Test_GT.zip"
MD5 = {
    TRAIN: "f33fd80ac59bff73c82d25ab499e03a3",
    TEST: "c7e4e6327067d32654124b0fe9e82185",
    TRUTH: "fe31e9c9270bbcd7b84b7f21a9d9d9e5",
}
COUNTS = {"train": 39_209, "test": 12_630}
CLASSES = (
    *("Speed limit 20", "Speed limit 30", "Speed limit 50", "Speed limit 60", "Speed limit 70", "Speed limit 80"),
    *("End of speed limit 80", "Speed limit 100", "Speed limit 120", "No passing", "No passing for vehicles over 3.5 t"),
    *("Right of way at next intersection", "Priority road", "Yield", "Stop", "No vehicles", "No vehicles over 3.5 t", "No entry"),
    *("General caution", "Dangerous curve left", "Dangerous curve right", "Double curve", "Bumpy road", "Slippery road"),
    *("Road narrows on the right", "Road work", "Traffic signals", "Pedestrians", "Children crossing", "Bicycles crossing"),
    *("Beware of ice or snow", "Wild animals crossing", "End of all speed and passing limits", "Turn right ahead"),
    *("Turn left ahead", "Ahead only", "Go straight or right", "Go straight or left", "Keep right", "Keep left"),
    *("Roundabout mandatory", "End of no passing", "End of no passing for vehicles over 3.5 t"),
)


class Signs(NamedTuple):
    """One line of the annotations for each image."""

    files: Sequence[ImageFile]
    labels: np.ndarray
    tracks: np.ndarray
    """the physical sign, counted within its class; -1 where it is not told (the test set)"""
    boxes: np.ndarray
    """``(N, 4)``: left, top, right, bottom of the sign, -1 to 1 from edge to edge of the image"""

    def rows(self, index: np.ndarray) -> "Signs":
        """Some of the images."""
        return Signs([self.files[i] for i in index], self.labels[index], self.tracks[index], self.boxes[index])


def find_archives(data_dir: Path | str | None) -> Path:
    """The folder that holds the archives, downloaded if they are nowhere.

    Raises:
        ValueError: a folder that is named does not exist.
        FileNotFoundError: the archives cannot be downloaded.
    """
    for root in roots("reticle.data.gtsrb", data_dir):
        for folder in (root / name for name in FOLDERS):
            if (folder / "train.csv").is_file() or any((folder / name).is_file() for name in MD5):
                return folder
    cache = Path(pooch.os_cache("reticle"), "gtsrb")
    for name, md5 in MD5.items():
        try:
            fetch(name, md5=md5, mirrors=MIRRORS, folder=cache)
        except FileNotFoundError as error:
            fix = "Put GTSRB's three archives into a folder and name it with --data-dir or $RETICLE_DATA, or take the data set `signs`."
            raise FileNotFoundError(f"{error}\n  {fix}") from None
    return cache


def read_signs(folder: Path) -> tuple[Signs, Signs]:
    """The training and the test images that the archives in ``folder`` hold.

    Raises:
        ValueError: an archive or a table is missing, damaged or of another content; the message names it.
    """
    compact = (folder / "train.csv").is_file()
    train, test = (_compact(folder, name) for name in COUNTS) if compact else (_official_train(folder), _official_test(folder))
    for (name, count), signs in zip(COUNTS.items(), (train, test), strict=True):
        if len(signs.labels) != count:
            raise ValueError(f"{folder}: the {name} set of GTSRB must have {count:,} images; got {len(signs.labels):,}.\n  {AGAIN}")
    return train, test


def _compact(folder: Path, name: str) -> Signs:
    table = folder / f"{name}.csv"
    if not table.is_file():
        raise ValueError(f"{table} must be there, beside the archives; it is missing.\n  {AGAIN}")
    rows = list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8"))))
    archives = {name: folder / name for name in {row["archive"] for row in rows}}
    members = {name: _members(path) for name, path in archives.items()}
    for row in rows:
        if row["file"] not in members[row["archive"]]:
            raise ValueError(f"{archives[row['archive']]} must hold {row['file']}, as {table.name} says; it does not.\n  {AGAIN}")
    files = [ImageFile(archives[row["archive"]], row["file"]) for row in rows]
    tracks = [int(row["track"]) if row["track"] else -1 for row in rows]
    sides = ("width", "height", "roi_x1", "roi_y1", "roi_x2", "roi_y2", "class_id")
    return _signs(files, [[int(row[side]) for side in sides] for row in rows], tracks)


def _official_train(folder: Path) -> Signs:
    archive = _checked(folder / TRAIN)
    files, numbers, tracks = [], [], []
    for table in sorted(name for name in _members(archive) if name.endswith(".csv")):
        for name, values in _official_rows(archive, table):
            files.append(ImageFile(archive, f"{table.rpartition('/')[0]}/{name}"))
            numbers.append(values)
            tracks.append(int(name.partition("_")[0]))
    return _signs(files, numbers, tracks)


def _official_test(folder: Path) -> Signs:
    archive, truth = _checked(folder / TEST), _checked(folder / TRUTH)
    where = {name.rpartition("/")[2]: name for name in _members(archive) if name.endswith(".ppm")}
    table = next(name for name in _members(truth) if name.endswith(".csv"))
    rows = _official_rows(truth, table)
    return _signs([ImageFile(archive, where[name]) for name, _ in rows], [values for _, values in rows], [-1] * len(rows))


def _official_rows(archive: Path, table: str) -> list[tuple[str, list[int]]]:
    """File name, and width, height, the box and the class, of each line."""
    text = zipfile.ZipFile(archive).read(table).decode("utf-8")
    return [(row[0], [int(value) for value in row[1:8]]) for row in list(csv.reader(io.StringIO(text), delimiter=";"))[1:]]


def _signs(files: Sequence[ImageFile], numbers: Sequence[Sequence[int]], tracks: Sequence[int]) -> Signs:
    table = np.array(numbers, dtype=np.int64).reshape(-1, 7)
    width, height, x1, y1, x2, y2, labels = table.T
    # the second corner is the last pixel inside
    edges = [x1 / width, y1 / height, (x2 + 1) / width, (y2 + 1) / height]
    return Signs(files, labels, np.array(tracks), np.stack(edges, axis=1).astype(np.float32) * 2 - 1)


def _checked(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"{path} must be there, beside the other archives of GTSRB; it is missing.\n  {AGAIN}")
    checksum = pooch.file_hash(str(path), alg="md5")
    if checksum != MD5[path.name]:
        raise ValueError(f"{path} must have the md5 {MD5[path.name]}; got {checksum}.\n  {AGAIN}")
    return path


def _members(path: Path) -> Mapping[str, zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.NameToInfo
    except FileNotFoundError:
        raise ValueError(f"{path} must be there, as the table beside it says; it is missing.\n  {AGAIN}") from None
    except (zipfile.BadZipFile, OSError) as error:
        raise ValueError(f"{path} must be a whole zip archive; {error}.\n  {AGAIN}") from None
