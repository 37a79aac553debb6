"""What does Ctrl-C interrupt? Not an update that is being made: the one that asks is told, and may save what there is before it stops."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Stop:
    """Whether Ctrl-C was pressed."""

    wanted: bool = False


@contextmanager
def interrupts_wait() -> Iterator[Stop]:
    """Within, Ctrl-C only sets ``wanted``; pressed once more, it interrupts at once. A handler of the caller's own stays in charge."""
    stop = Stop()
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def note(number: int, frame: FrameType | None) -> None:
        if stop.wanted:
            raise KeyboardInterrupt
        stop.wanted = True

    if ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
