"""What does a run's folder hold, and when may a run start, go on or be refused there?"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..recipe import Recipe, differences, dump, load
from ..schema import suggest
from .atomic import append, write_atomically

SHIPPED = Path(__file__).parents[1] / "weights"


@dataclass(frozen=True)
class Run:
    """The files of one run: ``runs/<recipe>/<seed>/``."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The complete recipe, as run."""
        return self.path / "recipe.yaml"

    @property
    def metrics(self) -> Path:
        """One JSON object a line: ``step``, ``loss``, ``accuracy`` (0 to 1), ``lr``, ``images_per_s``; or ``step``, ``test_error``."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoint(self) -> Path:
        """All that is needed to go on."""
        return self.path / "checkpoint.pt"

    @property
    def staged(self) -> Path:
        """The next checkpoint, until those of all runs that are trained as one are written."""
        return self.path / ".checkpoint.next"

    @property
    def weights(self) -> Path:
        """The final weights."""
        return self.path / "weights.safetensors"

    @property
    def result(self) -> Path:
        """The measured number; its presence says that the run is complete."""
        return self.path / "result.json"

    @property
    def interface(self) -> Path:
        """What the network takes and what its answers mean: shape of the images, names of the classes."""
        return self.path / "interface.json"

    @property
    def snapshots(self) -> Path:
        """The folder of what the transformer did to fixed images, by step."""
        return self.path / "snapshots"

    def prepare(self, recipe: Recipe, *, resume: bool) -> None:
        """Make the folder ready for ``recipe``, new or to go on with.

        Raises:
            FileExistsError: a run is here already, and ``resume`` does not say to go on with it, or it is complete.
            ValueError: the run that is here has another recipe.
        """
        self.check(recipe, resume=resume)
        if self.recipe.exists():
            if not self._makes_way(recipe, resume=resume):
                return
            self._clear()
        write_atomically(self.recipe, dump(recipe))

    def check(self, recipe: Recipe, *, resume: bool) -> None:
        """Raise what :meth:`prepare` would raise; change nothing."""
        if self.recipe.exists() and not self._makes_way(recipe, resume=resume):
            self._refuse(recipe, resume=resume)

    def is_complete(self, recipe: Recipe) -> bool:
        """Whether ``recipe`` has been trained here to the end.

        Raises:
            ValueError: the run that is here has another recipe.
        """
        if not self.result.exists():
            return False
        self._refuse_other(recipe)
        return True

    def forget_after(self, step: int) -> None:
        """Drop the metrics and snapshots of later steps, which a resumed run writes again, and a checkpoint that never took its place."""
        self.staged.unlink(missing_ok=True)
        kept = [record for record in self.read_metrics() if record["step"] <= step]
        write_atomically(self.metrics, "".join(json.dumps(record) + "\n" for record in kept))
        for file in self.snapshots.glob("[0-9]*.safetensors"):
            if int(file.stem) > step:
                file.unlink()

    def log(self, record: dict[str, Any]) -> None:
        """Append one line to the metrics."""
        append(self.metrics, json.dumps(record))

    def read_metrics(self) -> list[dict[str, Any]]:
        """All lines of the metrics; a last line that a killed process left unfinished is left out."""
        lines = self.metrics.read_text(encoding="utf-8").splitlines(keepends=True) if self.metrics.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def _makes_way(self, recipe: Recipe, *, resume: bool) -> bool:
        """Whether the run that is here may be overwritten: one trial by the next."""
        return not resume and recipe.is_smoke and load(self.recipe).is_smoke

    def _refuse(self, recipe: Recipe, *, resume: bool) -> None:
        """Raise if ``recipe`` must not run here."""
        self._refuse_other(recipe)
        if self.result.exists():
            fix = "Choose another --out or --set seed=..., or delete the folder to train again."
            raise FileExistsError(f"{self.path}: holds a complete run.\n  {fix}")
        if not resume:
            raise FileExistsError(f"{self.path}: holds an unfinished run.\n  Go on with --resume, or choose another --out.")

    def _refuse_other(self, recipe: Recipe) -> None:
        old = load(self.recipe)
        if changes := differences(old, recipe):
            listed = ", ".join(f"{path}: {a} -> {b}" for path, (a, b) in changes.items())
            fix = "Choose another --out, or go on with the recipe.yaml that is there."
            raise ValueError(f"{self.path}: holds a run of another recipe ({listed}).\n  {fix}")

    def _clear(self) -> None:
        files = (self.result, self.checkpoint, self.staged, self.weights, self.metrics, self.interface)
        for file in (*files, *self.snapshots.glob("*.safetensors"), self.recipe):
            file.unlink(missing_ok=True)


def find_run(run: Path | str) -> Run:
    """The run in the folder ``run``, or the one of this name that ships with the package.

    Raises:
        FileNotFoundError: there is neither; the message names those that ship.
    """
    own, name = Run(Path(run)), Path(run).as_posix()
    if own.recipe.exists():
        return own
    if name in shipped_runs():
        return Run(SHIPPED / name)
    fix = suggest(name, shipped_runs())
    raise FileNotFoundError(
        f"run must be a folder that `reticle train` wrote, or ship with the package; got '{run}', which has no recipe.yaml.\n  {fix}"
    )


def shipped_runs() -> list[str]:
    """The names of the runs that ship with the package."""
    return sorted(file.parent.relative_to(SHIPPED).as_posix() for file in SHIPPED.rglob("recipe.yaml"))
