"""How is a recipe trained? One loop: a killed run goes on to the same weights, bit for bit, as one that was never stopped."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, convert_conv2d_weight_memory_format

from .recipe import Recipe
from .tasks import build_task
from .training.build import build_data, build_model, build_optimizer, check_parts
from .training.checkpoint import load_checkpoint, load_weights, save_checkpoint, write_tensors
from .training.evaluation import mean_mistake
from .training.fitting import check_task
from .training.interface import write_interface
from .training.interrupt import interrupts_wait
from .training.lock import alone_in
from .training.machine import commit, hardware
from .training.parallel import Place, processes
from .training.progress import Bar, TrainingBar
from .training.results import Result, changes_of, schedule_of, write_result
from .training.runs import Run
from .training.snapshots import Snapshots, snapshot_steps
from .training.watch import Watch


def fit(recipe: Recipe, out: str | Path, *, resume: bool = False, data_dir: Path | None = None, tensorboard: bool = False) -> Result:
    """Train ``recipe`` in the folder ``out``; return what was measured.

    Args:
        recipe: from :func:`reticle.recipe.load`.
        out: the run's folder; see :class:`reticle.training.runs.Run` for what it will hold.
        resume: go on with the run that is there, if there is one.
        data_dir: where the data's files are looked for first.
        tensorboard: write loss, accuracy and error for TensorBoard, too.
    Raises:
        FileExistsError: ``out`` holds a run, and ``resume`` is not given, or the run is complete, or another process is training it.
        ValueError: the recipe names things or arguments that do not exist, or ``out`` holds a run of another recipe.
        FloatingPointError: the loss or a θ is not finite any more.
        OSError: the disk is full.
    """
    with processes() as place, own_random_numbers(place), ExitStack() as held:
        training = Training(recipe, Run(Path(out)), place, data_dir=data_dir)
        place.first(lambda: held.enter_context(alone_in(training.run.path)))
        training.start(resume=resume)
        if tensorboard and place.is_first:
            training.board = tensorboard_of(training)
        with TrainingBar(recipe.name, steps=recipe.train.steps, start=training.step, silent=not place.is_first) as bar:
            training.loop(bar)
        return training.finish()


class Training:
    """A recipe on its way: the task, the model, the optimizer, and how far they are.

    ``like`` is a training of the same ``data``, which is then not read once more.
    """

    def __init__(self, recipe: Recipe, run: Run, place: Place, *, data_dir: Path | None = None, like: "Training | None" = None) -> None:
        _check(recipe, place)
        self.recipe, self.run, self.place = recipe, run, place
        self.task = build_task(recipe).to(place.device)
        self.data: Any = like.data if like else build_data(recipe, data_dir=data_dir)
        self.test_set: tuple[Tensor, Tensor] = like.test_set if like else self.data.test_set(device=place.device)
        # channels_last is the faster layout, on CPUs and GPUs
        self.model = convert_conv2d_weight_memory_format(build_model(recipe, self.data), torch.channels_last).to(place.device)
        check_task(recipe, self.task, self.model, *self.test_set)
        self.optimizer = build_optimizer(recipe, self.model)
        self.watch = Watch(self.model, place)
        self.snapshots = Snapshots(run, self.model, *self.test_set, answers=self.task.answers)
        self.pictured = snapshot_steps(recipe.train.steps)
        self.step, self.seconds, self.test_error = 0, 0.0, 100.0
        # loss, right answers and images since the last line of the metrics, summed on the device, so that no step waits for it
        self.sums = torch.zeros(3, dtype=torch.float64, device=place.device)
        self.board: Any = None
        # what to hold while torch's random numbers, of which there is one sequence for all threads, are this training's
        self.turn: AbstractContextManager[Any] = nullcontext()

    def start(self, *, resume: bool) -> None:
        """Prepare the folder, and go on from the checkpoint that is there."""
        state = self.place.first(lambda: self._open(resume=resume))
        if state:
            load_weights(self.model, state["model"], self.run.checkpoint)
            self.optimizer.load_state_dict(state["optimizer"])
            if self.place.is_first:  # what is saved is the sum over all processes
                self.sums.copy_(state["sums"])
            self.step, self.seconds, self.test_error = state["step"], state["seconds"], state["test_error"]
            self.watch.step = self.step
        self.network = self.place.spread(self.model)
        self.clock = self.log_clock = time.perf_counter()

    def loop(self, bar: Bar) -> None:
        """Train to the end: update after update; now and then a line, an evaluation, a snapshot, a checkpoint."""
        self.begin()
        with interrupts_wait() as stop:
            while self.is_going:
                self.advance(bar)
                if stop.wanted:
                    self.stop()

    def begin(self) -> None:
        """Keep what the transformer does before the first update."""
        if self.step == 0:
            self.place.first(lambda: self.snapshots.write(0))

    @property
    def is_going(self) -> bool:
        """Whether there are updates to make."""
        return self.step < self.recipe.train.steps

    def advance(self, bar: Bar) -> None:
        """One update, and what is due after it."""
        self.update()
        self.observe(bar)
        # last: what was recorded up to the step of a checkpoint is never missing
        if self.is_due(self.recipe.train.checkpoint_every):
            self.save()

    def stop(self) -> NoReturn:
        """Stop here, with a checkpoint; several processes, which may be at different steps, keep their last one."""
        if self.place.world_size == 1:
            self.save()
        raise KeyboardInterrupt

    def observe(self, bar: Bar) -> None:
        """What is due after an update, but for the checkpoint: is all well? A line, an evaluation, a snapshot."""
        train = self.recipe.train
        bar.advance(self.step)
        log, evaluate, checkpoint = (self.is_due(every) for every in (train.log_every, train.eval_every, train.checkpoint_every))
        if log or evaluate or checkpoint:
            self.watch.check(f"Start anew with a train.lr below {train.lr:g}, or a train.localizer_lr below {train.localizer_lr:g}.")
        if log:
            self._record(self.measure(), bar)
        with self._off_the_clock():
            if evaluate:
                self._record(self.evaluate(), bar)
            if self.step in self.pictured:
                self.place.first(lambda: self.snapshots.write(self.step))

    def update(self) -> None:
        """One step of the optimizer: a pure function of the weights, the seed and the number of the step."""
        train = self.recipe.train
        self.set_lr(self.optimizer)
        images, targets = self.batch()
        with self.turn:
            self.seed()
            self.model.train()
            outputs = self.network(images)
            loss = self.task.loss(outputs, images, targets)
        self.optimizer.zero_grad()
        loss.backward()
        if train.clip_norm is not None:
            clip_grad_norm_(self.model.parameters(), train.clip_norm)
        self.optimizer.step()
        self.watch.see(loss)
        right = self.task.num_right(outputs, targets)
        self.sums += torch.stack([loss.detach() * len(images), right, torch.full_like(right, len(images))])
        self.count()

    def set_lr(self, optimizer: torch.optim.Optimizer) -> None:
        """Give ``optimizer`` the learning rates of the next update."""
        train, step = self.recipe.train, self.step
        for group in optimizer.param_groups:
            group["lr"] = train.localizer_lr_at(step) if group["localizer"] else train.lr_at(step)

    def batch(self) -> tuple[Tensor, Tensor]:
        """The images and targets of the next update, in this process."""
        place, train = self.place, self.recipe.train
        sizes = {"rank": place.rank, "world_size": place.world_size}
        images, targets = self.data.train_batch(self.step, train.batch_size, seed=self.recipe.seed, device=place.device, **sizes)
        return images, targets

    def seed(self) -> None:
        """What the model and the task draw, such as dropout, is the same after a resume, and different in every process."""
        torch.manual_seed(int(np.random.SeedSequence([self.recipe.seed, self.step, self.place.rank]).generate_state(1)[0]))

    def count(self) -> None:
        """An update is done."""
        self.step += 1
        self.watch.step = self.step

    def measure(self) -> dict[str, float]:
        """Loss and accuracy of the training since the last time, and its speed."""
        loss, right, images = self.place.total(self.sums).tolist()
        self.sums.zero_()
        now = time.perf_counter()
        speed = images / (now - self.log_clock)
        self.log_clock = now
        lr = self.recipe.train.lr_at(self.step - 1)
        return {"step": self.step, "loss": loss / images, "accuracy": right / images, "lr": lr, "images_per_s": round(speed, 1)}

    def evaluate(self) -> dict[str, float]:
        """How wrong the model is on the test set: the mean of the mistakes that the task counts."""
        self.test_error = mean_mistake(self.model, *self.test_set, mistakes=self.task.mistakes, place=self.place)
        return {"step": self.step, "test_error": self.test_error}

    def save(self, *, staged: Path | None = None) -> None:
        """Write the checkpoint; as the file ``staged``, if it is not to take its place yet."""
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "sums": self.place.total(self.sums)}
        progress = {"step": self.step, "seconds": self._seconds(), "test_error": self.test_error}
        with self._off_the_clock():
            self.place.first(lambda: save_checkpoint(self.run.checkpoint, state | progress, staged=staged))

    def finish(self) -> Result:
        """Write the weights and the result: the run is complete."""
        result = self._result()
        self.place.first(lambda: write_tensors(self.run.weights, self.model.state_dict()))
        self.place.first(lambda: write_result(self.run, result))
        return result

    def _open(self, *, resume: bool) -> dict[str, Any] | None:
        self.run.prepare(self.recipe, resume=resume)
        if self.recipe.task.name == "classification":
            write_interface(self.run, self.data)
        state = load_checkpoint(self.run.checkpoint) if self.run.checkpoint.exists() else None
        self.run.forget_after(state["step"] if state else -1)
        return state

    def is_due(self, every: int) -> bool:
        """Whether what happens ``every`` so many steps, and at the end, happens now."""
        return self.step % every == 0 or self.step == self.recipe.train.steps

    def pause(self) -> None:
        """Stop the clock: others train now."""
        self.paused = time.perf_counter()

    def go_on(self) -> None:
        """Let the clock run again after :meth:`pause`."""
        waited = time.perf_counter() - self.paused
        self.clock, self.log_clock = self.clock + waited, self.log_clock + waited

    @contextmanager
    def _off_the_clock(self) -> Iterator[None]:
        """What is done within does not count as time that the updates took."""
        began = time.perf_counter()
        yield
        self.log_clock += time.perf_counter() - began

    def _record(self, record: dict[str, float], bar: Bar) -> None:
        if self.place.is_first:
            self.run.log(record)
        bar.tell(record, unit=self.task.error_unit)
        for name, value in record.items() if self.board else ():
            self.board.add_scalar(name, value, self.step)

    def _seconds(self) -> float:
        """How long the run has trained, over all its parts."""
        return self.seconds + time.perf_counter() - self.clock

    def _result(self) -> Result:
        recipe = self.recipe
        return Result(
            recipe=recipe.name,
            seed=recipe.seed,
            metric=recipe.source.metric,
            value=round(self.task.metrics[recipe.source.metric](self.test_error), 4),
            num_params=sum(p.numel() for p in self.model.parameters()),
            steps=recipe.train.steps,
            schedule=schedule_of(recipe),
            changes=changes_of(recipe),
            smoke=recipe.is_smoke,
            seconds=round(self._seconds(), 1),
            hardware=hardware(self.place.device),
            threads=torch.get_num_threads(),
            processes=self.place.world_size,
            torch=torch.__version__,
            commit=commit(),
            date=datetime.now(UTC).date().isoformat(),
        )


def own_random_numbers(place: Place) -> AbstractContextManager[None]:
    """The caller's random numbers go on afterwards as if nothing had been trained."""
    return torch.random.fork_rng(devices=[place.device] if place.device.type == "cuda" else [])


def _check(recipe: Recipe, place: Place) -> None:
    check_parts(recipe)
    if recipe.train.batch_size % place.world_size:
        raise ValueError(f"train.batch_size: must divide evenly among {place.world_size} processes; got {recipe.train.batch_size}.")


def tensorboard_of(training: Training) -> Any:
    """Who writes for TensorBoard, into the run's folder."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ValueError("tensorboard must be installed.\n  pip install tensorboard") from None
    return SummaryWriter(str(training.run.path / "tensorboard"), purge_step=training.step + 1)
