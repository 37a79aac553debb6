"""What does the network of a run take, and what do its answers mean? Kept with the run, so that it works without its data."""

import json
from dataclasses import dataclass, field
from typing import Any

from ..schema import At, build, plain
from .atomic import write_atomically
from .runs import Run


@dataclass(frozen=True, kw_only=True)
class Interface:
    """The images that a network takes and the classes that it tells apart; ``fit`` says how other shapes are brought to that size."""

    input_shape: list[int]
    num_classes: int
    class_names: list[str] = field(default_factory=list)
    fit: str = "stretch"

    def name(self, label: int) -> str:
        """The name of a class; its number, if it has none."""
        return self.class_names[label] if label < len(self.class_names) else str(label)


def interface_of(data: Any) -> Interface:
    """The interface of the networks that ``data`` trains."""
    names = list(getattr(data, "class_names", ()))
    fit = data.want.fit if hasattr(data, "want") else "stretch"
    return Interface(input_shape=list(data.input_shape), num_classes=data.num_classes, class_names=names, fit=fit)


def write_interface(run: Run, data: Any) -> None:
    """Keep the interface of ``data`` with ``run``."""
    write_atomically(run.interface, json.dumps(plain(interface_of(data)), indent=1, ensure_ascii=False) + "\n")


def read_interface(run: Run) -> Interface:
    """The interface of a run.

    Raises:
        FileNotFoundError: the run has none, as one of an earlier version.
        ValueError: the file is damaged.
    """
    if not run.interface.exists():
        raise FileNotFoundError(f"{run.path}: must hold {run.interface.name}, which `reticle train` writes at the start; it does not.")
    try:
        found: Interface = build(Interface, json.loads(run.interface.read_text(encoding="utf-8")), At(str(run.interface)))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{run.interface}: must be valid JSON; {error}.") from None
    return found
