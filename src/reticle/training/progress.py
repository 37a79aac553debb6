"""How far is the training, and how well does it go? A bar on a terminal, a line now and then elsewhere."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 30.0


class TrainingBar:
    """Shows step, loss, accuracy, images/s and time left, on stderr. Silent in all processes but the first."""

    def __init__(self, name: str, *, steps: int, start: int, silent: bool) -> None:
        self.steps, self.silent = steps, silent
        console = Console(stderr=True, quiet=silent)
        self.live = console.is_terminal and not silent
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        columns = (TextColumn(name), BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("{task.fields[state]}"))
        self.bar = Progress(*columns, *times, console=console, disable=not self.live)
        self.task = self.bar.add_task(name, total=steps, completed=start, state="")
        self.spoken = time.monotonic()

    def __enter__(self) -> "TrainingBar":
        self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bar.stop()

    def advance(self, step: int) -> None:
        """The run has made ``step`` updates."""
        self.bar.update(self.task, completed=step)

    def tell(self, record: dict[str, float], *, unit: str) -> None:
        """Show the numbers of a line of the metrics; ``unit`` is that of the test error."""
        self.show(record, f"step {record['step']:,} of {self.steps:,}", unit=unit)

    def show(self, record: dict[str, float], where: str, *, unit: str) -> None:
        """The numbers of a line of the metrics, and ``where`` the training is."""
        error = record.get("test_error")
        if error is not None:
            self.say(f"{where}: test error {error:.2f} {unit}")
            return
        state = f"loss {record['loss']:.4f}  accuracy {record['accuracy']:.1%}  {record['images_per_s']:,.0f} images/s"
        self.bar.update(self.task, state=state)
        if not self.live and time.monotonic() - self.spoken > SECONDS_BETWEEN_LINES:
            self.say(f"{where}: {state}")

    def say(self, text: str) -> None:
        """A line of its own."""
        self.spoken = time.monotonic()
        if self.live:
            self.bar.console.print(text, highlight=False)
        elif not self.silent:
            print(text, file=sys.stderr, flush=True)


class Share:
    """One of the trainings that a bar shows as one."""

    def __init__(self, bar: TrainingBar, name: str, *, steps: int, start: int) -> None:
        self.bar, self.name, self.steps, self.step = bar, name, steps, start

    def advance(self, step: int) -> None:
        """This training has made ``step`` updates."""
        self.bar.bar.advance(self.bar.task, step - self.step)
        self.step = step

    def tell(self, record: dict[str, float], *, unit: str) -> None:
        """Show the numbers of a line of its metrics."""
        self.bar.show(record, f"{self.name}: step {record['step']:,} of {self.steps:,}", unit=unit)


Bar = TrainingBar | Share
"""Who is told how far a training is, and what was measured."""
