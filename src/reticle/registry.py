"""What does a name stand for? Registries for the things that recipes refer to. Registered means tested: the suite walks each of them."""

import difflib
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Registry(dict[str, T]):
    """A dict that explains itself: duplicates raise, unknown names suggest the nearest known one.

    >>> colours = Registry("colour")
    >>> _ = colours.register("red")(1)
    >>> colours.register("red")(2)
    Traceback (most recent call last):
    ValueError: colour 'red' is already registered by 1; choose another name.
    >>> colours["rad"]
    Traceback (most recent call last):
    ValueError: Unknown colour 'rad'. Did you mean 'red'? Known: red.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def register(self, name: str) -> Callable[[T], T]:
        """Decorate the thing that ``name`` shall stand for."""

        def add(thing: T) -> T:
            if name in self:
                raise ValueError(f"{self.kind} {name!r} is already registered by {self[name]!r}; choose another name.")
            self[name] = thing
            return thing

        return add

    def __missing__(self, name: str) -> T:
        near = difflib.get_close_matches(str(name), self, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"Unknown {self.kind} {name!r}.{hint} Known: {', '.join(sorted(self))}.")
