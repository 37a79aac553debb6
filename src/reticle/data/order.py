"""Which samples does step n of a run see? Epochs in random order, a pure function of (seed, step), shared out among processes."""

import functools

import numpy as np

# streams of random numbers, no two alike
ORDER, TRAIN, TEST, POSES, TEST_POSES, PLACES, SEQUENCES, TEST_SEQUENCES, WINDOWS, TEST_WINDOWS, TRAIN_SEQUENCES = range(11)


def generator(stream: int, number: int = 0, seed: int = 0) -> np.random.Generator:
    """An independent generator for each triple."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(stream, number)))


# two epochs meet in a batch; there may be many seeds at a time
@functools.lru_cache(maxsize=32)
def _permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    return generator(ORDER, epoch, seed).permutation(count)


def shuffled(step: int, batch_size: int, seed: int, count: int) -> np.ndarray:
    """Which of ``count`` samples a batch shows: epochs in random order follow each other without a gap."""
    position = step * batch_size + np.arange(batch_size)
    first, last = position[0] // count, position[-1] // count
    epochs = [_permutation(seed, int(epoch), count) for epoch in range(first, last + 1)]
    return np.concatenate(epochs)[position - first * count]


def class_by_class(labels: np.ndarray) -> np.ndarray:
    """An order in which every class has its first sample before any has its second."""
    turn = np.empty_like(labels)
    for label in np.unique(labels):
        turn[labels == label] = np.arange((labels == label).sum())
    return np.argsort(turn, kind="stable")


def first_of_classes(labels: np.ndarray, count: int) -> np.ndarray:
    """The first of each class, then the second of each, ...: ``count`` of the test set."""
    check_whole("count", count, 1, "plain")
    if count > len(labels):
        raise ValueError(f"plain: `count` must be at most {len(labels)}, the number of test images; got {count}.")
    return class_by_class(labels)[:count]


def part_of(batch_size: int, *, step: int, seed: int, rank: int, world_size: int) -> slice:
    """Where in the batch of all processes the part of one of them lies; all arguments of ``train_batch`` are checked."""
    least = {"batch_size": (batch_size, 1), "world_size": (world_size, 1), "rank": (rank, 0), "step": (step, 0), "seed": (seed, 0)}
    for name, (value, at_least) in least.items():
        check_whole(name, value, at_least, "train_batch")
    if rank >= world_size:
        raise ValueError(f"train_batch: `rank` must be below `world_size` = {world_size}; got {rank}.")
    if batch_size % world_size:
        raise ValueError(
            f"train_batch: `batch_size` must be a multiple of `world_size` = {world_size}; got {batch_size}.\n"
            "  It counts the images of all processes together; with unequal parts their mean gradient would be wrong."
        )
    size = batch_size // world_size
    return slice(rank * size, (rank + 1) * size)


def check_whole(name: str, value: object, least: int, fn: str = "DistortedDigits") -> None:
    """Raise ValueError unless ``value`` is a whole number of at least ``least``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{fn}: `{name}` must be a whole number of at least {least}; got {value!r}.")
