"""Where do the files of a data set lie? In the user's folders, or in the cache, from the first mirror that gives the right bytes."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pooch
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

# the fix for a file of a data set that is not as it should be
AGAIN = "Probably an interrupted or wrong download: fetch it again, or move it away to have it downloaded."


def roots(fn: str, data_dir: Path | str | None) -> Iterator[Path]:
    """The folders in which a user may keep data: ``data_dir``, then ``$RETICLE_DATA``.

    Raises:
        ValueError: one of them is named and does not exist.
    """
    for name, root in (("data_dir", data_dir), ("$RETICLE_DATA", os.environ.get("RETICLE_DATA"))):
        if root and not Path(root).is_dir():
            raise ValueError(f"{fn}: `{name}` must be an existing folder; got {str(root)!r}.\n  Correct or unset it.")
        if root:
            yield Path(root)


def fetch(name: str, *, md5: str, mirrors: Sequence[str], folder: Path) -> Path:
    """Return ``folder / name``, downloaded if it is not there or has another checksum than ``md5``.

    Raises:
        FileNotFoundError: no mirror gave the right file; says what each answered.
    """
    answers = []
    for mirror in mirrors:
        bar = pooch.HTTPDownloader(progressbar=_Bar(name), chunk_size=2**16)
        try:
            return Path(pooch.retrieve(mirror + name, f"md5:{md5}", name, folder, downloader=bar))
        except (OSError, ValueError) as error:  # no network, no such file, no room; or wrong bytes
            answers.append(f"\n    {mirror}{name}: {error}")
    raise FileNotFoundError(f"{name} must be downloaded once, and could not be:{''.join(answers)}")


class _Bar:
    """What pooch asks of a progress bar, drawn by rich."""

    total: int | None = None

    def __init__(self, name: str) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self.progress = Progress(*columns, console=Console(stderr=True))
        self.task = self.progress.add_task(name, total=None)

    def update(self, count: int) -> None:
        self.progress.start()
        self.progress.update(self.task, advance=count, total=self.total)

    def reset(self) -> None:
        self.progress.update(self.task, completed=0)

    def close(self) -> None:
        self.progress.stop()
