"""How does plain data become typed, frozen dataclasses? Unknown keys, missing keys and wrong types stop, with the path to the fault."""

import dataclasses
import difflib
import math
import types
import typing
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Part:
    """A registered thing and its arguments: ``{name: tps, lattice: [4, 4]}``."""

    name: str
    args: dict[str, Any] = field(default_factory=dict)


class At(NamedTuple):
    """A place in a document, for error messages: the file, and the dotted path inside it."""

    source: str
    path: str = ""

    def down(self, key: object) -> "At":
        """The place of ``key`` below this one."""
        return At(self.source, f"{self.path}.{key}" if self.path else str(key))

    def error(self, message: str) -> ValueError:
        """The error to raise for a fault here."""
        return ValueError(": ".join(part for part in (self.source, self.path, message) if part))


def at_least(least: float, default: Any = dataclasses.MISSING) -> Any:
    """A dataclass field whose value may not be below ``least``."""
    return field(default=default, metadata={"least": least})


def build(want: Any, raw: Any, at: At) -> Any:
    """Return ``raw`` (what YAML or JSON gave) as the type ``want``, or raise ValueError with the place of the fault."""
    if want is Any:
        return raw
    if want is Part:
        return _part(raw, at)
    if dataclasses.is_dataclass(want):
        return _fields(want, raw, at)
    if typing.get_origin(want) in (types.UnionType, typing.Union):
        return None if raw is None else build(next(t for t in typing.get_args(want) if t is not type(None)), raw, at)
    if typing.get_origin(want) is list:
        return [build(typing.get_args(want)[0], item, at.down(i)) for i, item in enumerate(_scalar(list, raw, at))]
    if typing.get_origin(want) is dict:
        key, value = typing.get_args(want)
        return {build(key, k, at.down(k)): build(value, v, at.down(k)) for k, v in _mapping(raw, at).items()}
    return _scalar(want, raw, at)


def plain(thing: Any) -> Any:
    """Return ``thing`` as what YAML and JSON can write; ``build`` turns it back into its equal."""
    if isinstance(thing, Part):
        return {"name": thing.name, **plain(thing.args)}
    if dataclasses.is_dataclass(thing):
        return {f.name: plain(getattr(thing, f.name)) for f in dataclasses.fields(thing)}
    if isinstance(thing, dict):
        return {key: plain(value) for key, value in thing.items()}
    return [plain(value) for value in thing] if isinstance(thing, list | tuple) else thing


def suggest(name: object, known: typing.Iterable[str]) -> str:
    """A sentence that helps someone who wrote ``name`` and can only have meant one of ``known``."""
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    return f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(names)}."


def _fields(want: Any, raw: Any, at: At) -> Any:
    known = {f.name: f for f in dataclasses.fields(want)}
    for key in _mapping(raw, at):
        if key not in known:
            raise at.error(f"unknown key {key!r}. {suggest(key, known)}")
    for name, f in known.items():
        if name not in raw and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise at.error(f"key {name!r} is missing.")
    hints = typing.get_type_hints(want)
    values = {key: build(hints[key], value, at.down(key)) for key, value in raw.items()}
    for key, value in values.items():
        least = known[key].metadata.get("least", -math.inf)
        if isinstance(value, int | float) and value < least:
            raise at.down(key).error(f"must be at least {least}; got {value}.")
    return want(**values)


def _part(raw: Any, at: At) -> Part:
    if isinstance(raw, str):
        return Part(raw)
    if "name" not in _mapping(raw, at):
        raise at.error("key 'name' is missing.")
    args = {build(str, key, at): plain(value) for key, value in raw.items() if key != "name"}
    return Part(build(str, raw["name"], at.down("name")), args)


def _mapping(raw: Any, at: At) -> dict[Any, Any]:
    if not isinstance(raw, dict):
        raise at.error(f"must be a mapping (key: value); got {raw!r}.")
    return raw


def _scalar(want: type, raw: Any, at: At) -> Any:
    if want is float and isinstance(raw, int) and not isinstance(raw, bool):
        return float(raw)
    if not isinstance(raw, want) or (want is int and isinstance(raw, bool)):
        raise at.error(f"must be {want.__name__}; got {raw!r}.{_yaml_hint(want, raw)}")
    if isinstance(raw, float) and not math.isfinite(raw):
        raise at.error(f"must be a finite number; got {raw!r}.")
    return raw


def _yaml_hint(want: type, raw: Any) -> str:
    if want is not float or not isinstance(raw, str):
        return ""
    try:
        number = float(raw)
    except ValueError:
        return ""
    if not math.isfinite(number):
        return ""
    digits, power = f"{number:e}".split("e")
    return f"\n  YAML takes {raw} for text: write {float(digits)}e{int(power):+d}."
