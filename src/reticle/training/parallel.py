"""Which process am I, of how many, on which device? What torchrun's processes must agree on goes through here."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """One process among ``world_size``."""

    rank: int
    world_size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def first(self, act: Callable[[], T]) -> T:
        """Let the first process ``act``; every process gets its answer, or its error."""
        if self.world_size == 1:
            return act()
        answer: list[T | OSError | ValueError | FloatingPointError | None] = [None]
        if self.is_first:
            try:
                answer = [act()]
            except (OSError, ValueError, FloatingPointError) as error:
                answer = [error]
        dist.broadcast_object_list(answer, device=self.device)
        if isinstance(answer[0], OSError | ValueError | FloatingPointError):
            raise answer[0]
        return answer[0]  # type: ignore[return-value]

    def total(self, x: Tensor) -> Tensor:
        """The sum of ``x`` over all processes."""
        return self._reduce(x, dist.ReduceOp.SUM)

    def largest(self, x: Tensor) -> Tensor:
        """The maximum of ``x`` over all processes."""
        return self._reduce(x, dist.ReduceOp.MAX)

    def spread(self, model: nn.Module) -> nn.Module:
        """``model`` with gradients averaged over all processes."""
        if self.world_size == 1:
            return model
        return DistributedDataParallel(model, device_ids=[self.device.index] if self.device.type == "cuda" else None)

    def agree(self, model: nn.Module) -> None:
        """Give every process the buffers that ``model`` has in the first, whose weights are saved: each gathers statistics of its own."""
        for buffer in model.buffers() if self.world_size > 1 else ():
            sent = buffer.contiguous()
            dist.broadcast(sent, 0)
            buffer.copy_(sent)

    def _reduce(self, x: Tensor, op: dist.ReduceOp.RedOpType) -> Tensor:
        x = x.clone()
        if self.world_size > 1:
            dist.all_reduce(x, op)
        return x


@contextmanager
def processes() -> Iterator[Place]:
    """Join the processes that torchrun started (one, if it did not); leave at the end."""
    world_size, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    device = _device(int(os.environ.get("LOCAL_RANK", 0)))
    if world_size == 1:
        yield Place(0, 1, device)
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", rank=rank, world_size=world_size)
    try:
        yield Place(rank, world_size, device)
    finally:
        dist.destroy_process_group()
        # The threads of gloo outlive the group (DistributedDataParallel keeps it alive), and let go of the last tensors a moment after
        # the collective has returned. Python below 3.14 aborts the process if it ends within that moment: leave them the interpreter.
        time.sleep(0.3)


def _device(local_rank: int) -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    gpus = torch.cuda.device_count()
    if local_rank >= gpus:
        raise ValueError(f"torchrun --nproc-per-node must be at most {gpus}, the number of GPUs; got at least {local_rank + 1}.")
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)
