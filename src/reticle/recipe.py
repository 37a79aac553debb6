"""What is an experiment? Data: one YAML file with the protocol, and the number that stands in print, as frozen dataclasses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from .schema import At, Part, at_least, between, build, plain

RECIPES = Path(__file__).parent / "recipes"
MOST_SEED = 2**64 - 1  # that torch.manual_seed takes


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the experiment stands in print, and the number printed there (``None``: in no paper)."""

    cite: str = "own"
    where: str = "own data"
    metric: str = "error_percent"
    reported: float | None = None


@dataclass(frozen=True, kw_only=True)
class Train:
    """How long and how fast. ``schedule`` maps a step to the factor on the learning rate from there on; the factors multiply up.

    ``clip_norm`` bounds the norm of the gradient of all weights together. The localisers learn at ``localizer_lr`` times the rate of the
    rest, which with ``localizer_warmup`` is reached after so many steps, beginning at 0: before the rest can read, it tells θ nothing.
    """

    steps: int = at_least(1)
    batch_size: int = at_least(1)
    lr: float = at_least(0)
    localizer_lr: float = at_least(0, 1.0)
    localizer_warmup: int = at_least(0, 0)
    clip_norm: float | None = at_least(0, None)
    schedule: dict[int, float] = field(default_factory=dict)
    log_every: int = at_least(1, 100)
    eval_every: int = at_least(1, 5_000)
    checkpoint_every: int = at_least(1, 1_000)

    def lr_at(self, step: int) -> float:
        """The learning rate of the update that follows ``step`` updates.

        >>> Train(steps=30, batch_size=1, lr=0.5, schedule={10: 0.5, 20: 0.1}).lr_at(20)
        0.025
        """
        lr = self.lr
        for start, factor in self.schedule.items():
            lr *= factor if step >= start else 1.0
        return lr

    def localizer_lr_at(self, step: int) -> float:
        """That of the localisers.

        >>> Train(steps=30, batch_size=1, lr=0.5, localizer_lr=0.1, localizer_warmup=20).localizer_lr_at(10)
        0.025
        """
        warm = min(1.0, step / self.localizer_warmup) if self.localizer_warmup else 1.0
        return self.lr_at(step) * self.localizer_lr * warm


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One experiment. ``data``, ``model``, ``task`` and ``optimizer`` name registered things; ``smoke`` makes of it a trial of seconds.

    ``is_smoke`` says that these changes have been made, whatever was changed after them: the recipe in a run's folder knows it, too.
    """

    name: str
    source: Source = field(default_factory=Source)
    seed: int = between(0, MOST_SEED, 0)
    data: Part
    model: Part
    task: Part = Part("classification")
    optimizer: Part
    train: Train
    smoke: dict[str, Any] = field(default_factory=dict)
    is_smoke: bool = False


def names() -> list[str]:
    """The recipes that ship with the package: ``["digits/rts_clutter_cnn", ...]``."""
    return sorted(name_of(file) for file in RECIPES.rglob("*.yaml"))


def name_of(file: Path) -> str:
    """The name of the recipe in ``file``: its path below the package's recipes, or, for a file of the user's own, its stem."""
    inside = file.resolve().is_relative_to(RECIPES.resolve())
    return file.resolve().relative_to(RECIPES.resolve()).with_suffix("").as_posix() if inside else file.stem


def find(recipe: str | Path) -> Path:
    """The file of ``recipe``: a name from :func:`names`, or a path.

    Raises:
        FileNotFoundError: there is no such file; the message names the nearest recipes.
    """
    for file in (RECIPES / f"{recipe}.yaml", Path(recipe)):
        if file.is_file():
            return file
    near = get_close_matches(str(recipe), names(), n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else "`reticle recipes` lists those of the package."
    raise FileNotFoundError(f"recipe must be a known name or the path of a YAML file; got '{recipe}'.\n  {hint}")


def load(recipe: str | Path, *, smoke: bool = False, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe; then make its own ``smoke`` changes, if asked; then the ``overrides``, such as ``"train.lr=0.1"``.

    Raises:
        FileNotFoundError: no such recipe.
        ValueError: damaged YAML, an unknown, missing or repeated key, a value of the wrong type; the message says where.
    """
    file = find(recipe)
    loaded = build(Recipe, {"name": name_of(file)} | _read(file), At(str(file)))
    if smoke and not loaded.smoke:
        raise ValueError(f"{file}: has no `smoke` part.\n  Add one, such as `smoke: {{train.steps: 2}}`.")
    if smoke:
        loaded = changed(loaded, loaded.smoke, f"{file}: smoke")
    for text in overrides:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise ValueError(f"--set must be key=value, such as train.lr=0.1; got {text!r}.")
        loaded = changed(loaded, {key: _parse(value, f"--set {text}")}, f"--set {text}")
    # last, so that a change cannot hide it
    return replace(loaded, is_smoke=True) if smoke else loaded


def changed(recipe: Recipe, changes: Mapping[str, Any], source: str) -> Recipe:
    """``recipe`` with new values at dotted paths; ``source`` says in errors where the changes come from."""
    raw = plain(recipe)
    for path, value in changes.items():
        *parents, last = (int(key) if key.isdigit() else key for key in path.split("."))
        node = raw
        for depth, key in enumerate(parents):
            node = node.setdefault(key, {})
            if not isinstance(node, dict):
                inside = ".".join(map(str, parents[: depth + 1]))
                raise ValueError(f"{source}: {inside}: must be a mapping to hold {last!r}; got {node!r}.\n  {_instead(inside, node, last)}")
        node[last] = value
    return _with_sources(build(Recipe, raw, At(source)), recipe, source)


def _with_sources(new: Recipe, old: Recipe, source: str) -> Recipe:
    """``new``, whose parts know where they stand: those that are as they were, where they stood; changed ones also in ``source``."""
    sources = {}
    for key, part in vars(old).items():
        if isinstance(part, Part):
            both = source if source.startswith(part.source) else f"{part.source}, {source}"
            sources[key] = replace(getattr(new, key), source=part.source if getattr(new, key) == part else both)
    return replace(new, **sources)


def _instead(path: str, value: Any, last: object) -> str:
    """What to write where ``value``, at ``path``, has no key ``last``."""
    if isinstance(value, str):
        return f"Write {path}={{name: {value}, {last}: ...}}."
    if isinstance(value, list):
        return f"Give the whole list, such as {path}={value}."
    return f"Set {path} itself: it is one value."


def dump(recipe: Recipe) -> str:
    """The complete recipe as YAML, defaults included; :func:`load` reads back its equal."""
    return yaml.safe_dump(plain(recipe), sort_keys=False, allow_unicode=True)


def differences(old: Recipe, new: Recipe) -> dict[str, tuple[Any, Any]]:
    """What changed, as paths that ``--set`` takes: ``{"train.steps": (150000, 2)}``; the old value of a key that was absent is ``None``."""
    a, b = plain(old), plain(new)
    found: dict[str, tuple[Any, Any]] = {}
    for key in (key for key in a if a[key] != b[key]):
        if isinstance(a[key], dict) and a[key].keys() <= b[key].keys():
            found |= {f"{key}.{k}": (a[key].get(k), value) for k, value in b[key].items() if k not in a[key] or a[key][k] != value}
        else:  # no path says that a key is gone
            found[key] = (a[key], b[key])
    return found


class _Loader(yaml.SafeLoader):
    """YAML in which no key stands twice: the plain loader takes the last one without a word."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """The mapping as it is written, before merges (``<<``) bring in keys that may come again."""
        mapping = super().compose_mapping_node(anchor)
        seen: dict[tuple[str, str], yaml.Mark] = {}
        for key, _ in mapping.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            first = seen.setdefault((key.tag, key.value), key.start_mark)
            if first is not key.start_mark:
                again = f"key {key.value!r} stands at line {first.line + 1}, and again"
                raise yaml.MarkedYAMLError(problem=again, problem_mark=key.start_mark)
        return mapping

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Bring merged keys in, and keep only the last value of each: PyYAML 6.0.4 takes the first where ``node`` is merged in turn."""
        super().flatten_mapping(node)
        last = {(key.tag, key.value) if isinstance(key, yaml.ScalarNode) else id(key): (key, value) for key, value in node.value}
        node.value = list(last.values())


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: must be a text file in UTF-8; {error}.") from None
    raw = _parse(text, str(file))
    if not isinstance(raw, dict):
        raise ValueError(f"{file}: must be a mapping (key: value); got {type(raw).__name__}.")
    return raw


def _parse(text: str, source: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ValueError(f"{source}: must be valid YAML; {error.problem}{place}.") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{source}: must be valid YAML; {' '.join(str(error).split())}.") from None
