"""How are networks trained side by side on the cores of a CPU? Each by one thread, a second at a time, so that all end together."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from queue import Empty, SimpleQueue

import torch

from ..train import Training
from ..training.interrupt import Stop, interrupts_wait
from ..training.progress import Bar
from ..training.runs import Run
from .stack import attempt

SLICE = 1.0  # seconds that a network is trained before the next has its turn; were each trained to its end, cores would idle at the last


def train_in_turns(trainings: Sequence[Training], bars: dict[Run, Bar], *, threads: int) -> dict[Run, FloatingPointError]:
    """Train all to the end, ``threads`` at a time, each with one core; one that diverges leaves the others.

    Every training makes the same numbers as alone on one core: it holds torch's random numbers while it draws.
    """
    return _Turns(trainings, bars).run(min(threads, len(trainings)))


class _Turns:
    def __init__(self, trainings: Sequence[Training], bars: dict[Run, Bar]) -> None:
        self.bars, self.failures, self.stop = bars, dict[Run, FloatingPointError](), Stop()
        self.left = False  # by the thread that waits for all others
        self.waiting: SimpleQueue[Training] = SimpleQueue()
        random_numbers = threading.Lock()
        for training in trainings:
            training.turn = random_numbers
            self.waiting.put(training)

    def run(self, threads: int) -> dict[Run, FloatingPointError]:
        with _one_core_each(), interrupts_wait() as self.stop:
            if threads <= 1:
                self._work()
            else:
                self._share_out(threads)
            if self.stop.wanted:
                self._save()
                raise KeyboardInterrupt
        return self.failures

    def _share_out(self, threads: int) -> None:
        with ThreadPoolExecutor(threads) as pool:
            try:
                done, _ = wait([pool.submit(self._work) for _ in range(threads)], return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
            finally:
                self.left = True  # after a fault, or an impatient Ctrl-C, no thread goes on

    @property
    def _ends(self) -> bool:
        return self.stop.wanted or self.left

    def _save(self) -> None:
        """The checkpoints of all that are not at their end, which wait for a turn that does not come."""
        while not self.waiting.empty():
            training = self.waiting.get_nowait()
            training.go_on()
            attempt([training], lambda member: member.save())

    def _work(self) -> None:
        torch.set_num_threads(1)  # of each thread on its own, too
        while not self._ends:
            try:
                training = self.waiting.get_nowait()
            except Empty:
                return
            try:
                if self._slice(training):
                    self.waiting.put(training)
            except FloatingPointError as error:
                self.failures[training.run] = error

    def _slice(self, training: Training) -> bool:
        """Train for a while, or to the end; whether there is more to do."""
        training.go_on()
        training.begin()
        end = time.monotonic() + SLICE
        while training.is_going and time.monotonic() < end and not self._ends:
            training.advance(self.bars[training.run])
        if not training.is_going:
            training.finish()
        training.pause()
        return training.is_going


@contextmanager
def _one_core_each():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
