"""How are networks of equal shape trained as one? Their weights are stacked; each goes on living in its slice."""

import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from ..train import Training
from ..training.build import build_model, build_optimizer
from ..training.checkpoint import load_checkpoint
from ..training.interrupt import interrupts_wait
from ..training.progress import Bar
from ..training.runs import Run
from ..training.watch import transformers

# what these do to a weight depends on this weight and its gradient alone
ELEMENTWISE = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop)
Failures = dict[Run, FloatingPointError]


def key(training: Training) -> tuple[Any, ...]:
    """What trainings must share to be stacked: protocol, shapes and step; seed and data may differ."""
    recipe, model = training.recipe, training.model
    tensors = [*model.named_parameters(), *model.named_buffers()]
    shapes = tuple((name, tensor.shape, tensor.dtype, tensor.requires_grad) for name, tensor in tensors)
    images = tuple(training.test_set[0].shape[1:])
    return repr((recipe.model, recipe.task, recipe.optimizer, recipe.train)), shapes, images, training.step


def refuses(members: Sequence[Training]) -> str | None:
    """Why trainings of one :func:`key` cannot be stacked; None if they can. One update is tried, and forgotten."""
    optimizer = members[0].optimizer
    if type(optimizer) not in ELEMENTWISE:
        return f"the optimizer {type(optimizer).__name__} is not known to treat every weight on its own"
    try:
        with warnings.catch_warnings():
            # an operation without a batching rule is done one network after the other, which is no gain
            warnings.filterwarnings("error", message="There is a performance drop", category=UserWarning)
            Stack(members).losses().sum().backward()
    except (RuntimeError, UserWarning) as error:  # vmap's own
        if "random operation" in str(error):
            return "it draws random numbers, as dropout does, which must be those of a run alone"
        return f"torch cannot batch the network or its loss ({str(error).splitlines()[0]})"
    return None


class Stack:
    """Trainings of one :func:`key` as one network, whose weights have an axis more.

    After :meth:`adopt` the weights, buffers and sums of the trainings are slices of those here, so that each evaluates, takes
    snapshots and writes its folder as if it were alone.
    """

    def __init__(self, members: Sequence[Training]) -> None:
        self.members, first = list(members), members[0]
        self.params, self.buffers = stack_module_state([member.model for member in members])
        self.base = build_model(first.recipe, first.data).to(first.place.device).train()
        self.optimizer = self._stacked_optimizer()
        self.sums = torch.stack([member.sums for member in members])
        self.bad = torch.stack([member.watch.bad for member in members])
        self.finite: dict[int, Tensor] = {}
        for row, (_, module) in enumerate(transformers(self.base), start=1):
            module.localizer.register_forward_hook(lambda _module, _inputs, theta, row=row: self._see(theta, row))

    def adopt(self) -> None:
        """Let the members live in their slices."""
        for index, member in enumerate(self.members):
            for name, tensor in [*member.model.named_parameters(), *member.model.named_buffers()]:
                stacked = self.params[name] if name in self.params else self.buffers[name]
                tensor.data = stacked.detach()[index]
            member.sums, member.watch.bad = self.sums[index], self.bad[index]

    def lend(self) -> None:
        """Let the members' optimizers hold their slices of the stacked state, and the rates: what they save, or take along."""
        for index, member in enumerate(self.members):
            for mine, group in zip(member.optimizer.param_groups, self.optimizer.param_groups, strict=True):
                mine["lr"] = group["lr"]
                for weight, stacked in zip(mine["params"], group["params"], strict=True):
                    if state := self.optimizer.state.get(stacked):
                        member.optimizer.state[weight] = {name: _slice(name, value, index) for name, value in state.items()}

    def losses(self) -> Tensor:
        """The loss of each member at its next batch; nothing is remembered."""
        buffers = {name: buffer.clone() for name, buffer in self.buffers.items()}
        return self._run(buffers)[0]

    def update(self) -> None:
        """One step of all members."""
        first = self.members[0]
        first.set_lr(self.optimizer)
        losses, right, finite = self._run(self.buffers)
        self.optimizer.zero_grad()
        losses.sum().backward()
        if first.recipe.train.clip_norm is not None:
            clip_each(list(self.params.values()), first.recipe.train.clip_norm)
        self.optimizer.step()
        self.bad.copy_(torch.where((self.bad < 0) & ~finite, first.step, self.bad))
        images = first.recipe.train.batch_size
        self.sums += torch.stack([losses.detach() * images, right, torch.full_like(right, images)], dim=1)
        for member in self.members:
            member.count()

    def save(self, members: Sequence[Training]) -> Failures:
        """Write the checkpoints of all these, then let all take their places: a kill leaves those of one step, or :func:`settle` does."""
        self.lend()
        failures = attempt(members, lambda member: member.save(staged=member.run.staged))
        for member in members:
            if member.run not in failures:
                os.replace(member.run.staged, member.run.checkpoint)
        return failures

    def _run(self, buffers: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Of each member: the loss, the number of right answers, and whether the loss and each θ are finite."""
        images, targets = (torch.stack(parts) for parts in zip(*(member.batch() for member in self.members), strict=True))
        run: Callable[..., tuple[Tensor, Tensor, Tensor]] = vmap(self._run_one)
        return run(self.params, buffers, images, targets)

    def _run_one(
        self, params: dict[str, Tensor], buffers: dict[str, Tensor], images: Tensor, targets: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        task = self.members[0].task
        self.finite = {}
        outputs = functional_call(self.base, (params, buffers), (images,))
        loss = task.loss(outputs, images, targets)
        self._see(loss, 0)
        fine = torch.ones((), dtype=torch.bool, device=loss.device)
        finite = torch.stack([self.finite.get(row, fine) for row in range(self.bad.shape[1])])
        return loss, task.num_right(outputs, targets), finite

    def _see(self, x: Tensor, row: int) -> None:
        finite = x.detach().isfinite().all()
        self.finite[row] = self.finite[row] & finite if row in self.finite else finite

    def _stacked_optimizer(self) -> torch.optim.Optimizer:
        first = self.members[0]
        optimizer = build_optimizer(first.recipe, self.base)
        stacked = {id(weight): self.params[name] for name, weight in self.base.named_parameters()}
        for number, group in enumerate(optimizer.param_groups):
            group["params"] = [stacked[id(weight)] for weight in group["params"]]
            for place, weight in enumerate(group["params"]):
                theirs = [(member.optimizer.state, member.optimizer.param_groups[number]["params"][place]) for member in self.members]
                states = [state[weight] for state, weight in theirs if weight in state]
                if states:
                    optimizer.state[weight] = {name: _stacked(name, [state[name] for state in states]) for name in states[0]}
        return optimizer


def _stacked(name: str, parts: list[Any]) -> Any:
    """One entry of an optimizer's state; the number of steps is that of all."""
    if isinstance(parts[0], Tensor):
        return parts[0].clone() if name == "step" else torch.stack(parts)
    return parts[0]


def _slice(name: str, value: Any, index: int) -> Any:
    if isinstance(value, Tensor):
        return value.clone() if name == "step" else value[index]
    return value


def clip_each(params: Sequence[Tensor], max_norm: float) -> None:
    """As ``clip_grad_norm_``, for each slice of stacked weights on its own."""
    grads = [weight.grad for weight in params if weight.grad is not None]
    norms = torch.stack([grad.flatten(1).norm(dim=1) for grad in grads]).norm(dim=0)
    factor = (max_norm / (norms + 1e-6)).clamp(max=1.0)
    for grad in grads:
        grad *= factor.view(-1, *[1] * (grad.ndim - 1))


def attempt(members: Sequence[Training], act: Callable[[Training], None]) -> Failures:
    """Let each member ``act``; those that are not finite any more, with the error that says so."""
    failures: Failures = {}
    for member in members:
        try:
            act(member)
        except FloatingPointError as error:
            failures[member.run] = error
    return failures


def train_stacked(members: Sequence[Training], bars: dict[Run, Bar]) -> Failures:
    """Train members of one :func:`key` to the end; one that diverges leaves the others."""
    failures: Failures = {}
    for member in members:
        member.go_on()
        member.begin()
    everyone = members
    with interrupts_wait() as stop:
        while members := [member for member in members if member.run not in failures and member.is_going]:
            stack = Stack(members)
            stack.adopt()
            known = len(failures)
            while len(failures) == known and members[0].is_going:
                stack.update()
                failures |= attempt(members, lambda member: member.observe(bars[member.run]))
                if stop.wanted or members[0].is_due(members[0].recipe.train.checkpoint_every):
                    failures |= stack.save([member for member in members if member.run not in failures])
                if stop.wanted:
                    raise KeyboardInterrupt
            stack.lend()
    for member in everyone:
        if member.run not in failures:
            member.finish()
    return failures


def settle(runs: Sequence[Run]) -> None:
    """End what a kill interrupted: once one checkpoint has taken its place, all of its step are there and do so; else all are dropped."""
    staged = {run: load_checkpoint(run.staged)["step"] for run in runs if run.staged.exists()}
    there = {load_checkpoint(run.checkpoint)["step"] for run in runs if run.checkpoint.exists()} if staged else set()
    for run, step in staged.items():
        if step in there:
            os.replace(run.staged, run.checkpoint)
        else:
            run.staged.unlink()
