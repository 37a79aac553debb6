"""How calls are timed: in turns, often enough for the clock, and none pays for another."""

import time

from reticle.bench.timing import QUICK, Budget, interleaved


def test_contestants_take_turns():
    order = []
    calls = {name: lambda name=name: order.append(name) or time.sleep(2e-3) for name in "abc"}
    timings = interleaved(calls, Budget(0.0, 4, 9, 1))
    turns = ["".join(order[-24:][k : k + 6]) for k in range(0, 24, 6)]
    assert all(sorted(turn) == list("aabbcc") and turn[::2] == turn[1::2] for turn in turns)
    assert len(set(turns)) > 1 and {t.rounds for t in timings.values()} == {4}
    assert all(t.median >= 2e-3 and t.iqr >= 0 and t.calls == 1 for t in timings.values())


def test_what_another_left_behind_is_not_counted():
    last = []

    def call(name):
        time.sleep(2e-3 if last[-1:] == [name] else 5e-2)
        last.append(name)

    timings = interleaved({name: lambda name=name: call(name) for name in "ab"}, QUICK)
    assert all(t.calls == 1 and t.median < 2e-2 for t in timings.values())


def test_all_that_it_left_behind_is_gone_when_the_clock_starts():
    last = []

    def call(name):
        time.sleep(3e-4 if last[-2:] == [name] * 2 else 2e-2)
        last.append(name)

    timings = interleaved({name: lambda name=name: call(name) for name in "ab"}, Budget(0.0, 5, 5, 5))
    assert all(t.calls > 1 and t.median < 2e-3 for t in timings.values())


def test_short_calls_are_repeated_until_the_clock_can_tell():
    assert interleaved({"a": lambda: None}, QUICK)["a"].calls > 1000


def test_one_slow_call_does_not_make_a_short_one_long():
    waits = iter([None, 5e-3])  # the first call is not counted, the second is slow

    def call():
        wait = next(waits, None)
        if wait:
            time.sleep(wait)

    assert interleaved({"a": call}, QUICK)["a"].calls > 10
