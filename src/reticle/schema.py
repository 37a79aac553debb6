"""How does plain data become typed, frozen dataclasses? Unknown keys, missing keys and wrong types stop, with the path to the fault."""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

UNIONS, LISTS, MAPPINGS = (types.UnionType, typing.Union), (list, tuple, Sequence), (dict, Mapping)
SCALARS = (bool, int, float, str)


@dataclass(frozen=True)
class Part:
    """A registered thing and its arguments: ``{name: tps, lattice: [4, 4]}``; ``source`` says in errors where that is written."""

    name: str
    args: dict[str, Any] = field(default_factory=dict)
    source: str = field(default="", compare=False, repr=False)


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
    return between(least, math.inf, default)


def between(least: float, most: float, default: Any = dataclasses.MISSING) -> Any:
    """A dataclass field whose value may be neither below ``least`` nor above ``most``."""
    return field(default=default, metadata={"least": least, "most": most})


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


def check(hint: Any, value: Any, at: At) -> None:
    """Raise ValueError, with the place of the fault, unless plain data such as YAML's are what the annotation ``hint`` asks for.

    Annotations of anything but numbers, text, paths, and lists, mappings and unions of them, take everything.

    >>> check(int | Sequence[int], [32, "x"], At("a.yaml", "data.size"))
    Traceback (most recent call last):
    ValueError: a.yaml: data.size.1: must be int; got 'x'.
    """
    kind, inner = _kind(hint), typing.get_args(hint)
    if kind in UNIONS:
        _check_union(inner, value, at)
    elif kind in LISTS:
        _check_list(hint, value, at)
    elif kind in MAPPINGS:
        key_hint, item_hint = inner or (Any, Any)
        for key, item in _mapping(value, at).items():
            check(key_hint, key, at.down(key))
            check(item_hint, item, at.down(key))
    elif kind is Path:
        _scalar(str, str(value) if isinstance(value, Path) else value, at)
    elif kind in SCALARS:
        _scalar(kind, value, at)


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
        bounds = known[key].metadata
        if isinstance(value, int | float) and value < bounds.get("least", -math.inf):
            raise at.down(key).error(f"must be at least {bounds['least']}; got {value}.")
        if isinstance(value, int | float) and value > bounds.get("most", math.inf):
            raise at.down(key).error(f"must be at most {bounds['most']}; got {value}.")
    return want(**values)


def _part(raw: Any, at: At) -> Part:
    if isinstance(raw, str):
        return Part(raw, source=at.source)
    if "name" not in _mapping(raw, at):
        raise at.error("key 'name' is missing.")
    args = {build(str, key, at): plain(value) for key, value in raw.items() if key != "name"}
    return Part(build(str, raw["name"], at.down("name")), args, at.source)


def _check_union(hints: Sequence[Any], value: Any, at: At) -> None:
    if value is None and types.NoneType in hints:
        return
    plain_hints = [hint for hint in hints if _named(hint)]
    others = [hint for hint in hints if hint not in plain_hints and hint is not types.NoneType]
    if not plain_hints or any(_may_be(hint, value) for hint in others):
        return
    faults = []
    for hint in plain_hints:
        try:
            return check(hint, value, at)
        except ValueError as fault:
            # in a list where one may be, the item that is wrong says more
            faults += [fault] if len(plain_hints) == 1 or _holds(hint, value) else []
    raise faults[0] if len(faults) == 1 else at.error(f"must be {' or '.join(dict.fromkeys(map(_named, plain_hints)))}; got {value!r}.")


def _may_be(hint: Any, value: Any) -> bool:
    """Whether ``value`` may be meant for ``hint``, which is no plain type: plain data are of no class that is not one of theirs."""
    kind = _kind(hint)
    if not isinstance(kind, type) or kind is Any or getattr(kind, "_is_protocol", False) or issubclass(kind, (*SCALARS, list, tuple, dict)):
        return True
    return isinstance(value, kind)


def _check_list(hint: Any, value: Any, at: At) -> None:
    inner, fixed = typing.get_args(hint), _is_fixed(hint)
    if not _is_list(value) or (fixed and len(value) != len(inner)):
        raise at.error(f"must be {_named(hint)}; got {value!r}.")
    for i, item in enumerate(value if inner else ()):
        check(inner[i if fixed else 0], item, at.down(i))


def _holds(hint: Any, value: Any) -> bool:
    return _kind(hint) in LISTS if _is_list(value) else _kind(hint) in MAPPINGS and isinstance(value, dict)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _is_fixed(hint: Any) -> bool:
    """Whether it is a tuple of so many items."""
    return _kind(hint) is tuple and bool(typing.get_args(hint)) and typing.get_args(hint)[-1] is not Ellipsis


def _kind(hint: Any) -> Any:
    return typing.get_origin(hint) or hint


def _named(hint: Any) -> str:
    """What a plain type is called; nothing for other annotations."""
    kind, inner = _kind(hint), typing.get_args(hint)
    if kind in LISTS:
        items = str(len(inner)) if _is_fixed(hint) else _named(inner[0]) if inner else ""
        return f"a list of {items}" if items else "a list"
    if kind in MAPPINGS:
        return "a mapping (key: value)"
    return "str" if kind is Path else kind.__name__ if kind in SCALARS else ""


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
