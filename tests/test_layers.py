"""Data flows one way: a file may import only from lower layers."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "reticle"
LAYERS = (  # lowest first; inside a package imports are free
    "checks registry schema",
    "grid",
    "transforms sampling",
    "modules losses",
    "recurrent",
    "models data viz testing",
    "recipe",
    "training",
    "tasks",
    "train show predict info bench",
    "together",
    "report",
    "demo",
    "cli",
    "__init__ __main__",
)
LAYER = {name: height for height, names in enumerate(LAYERS) for name in names.split()}


def imports(source: str, parts: tuple[str, ...]) -> set[str]:
    """The parts of the library that a file imports, anywhere in it; ``parts`` is its path below the library."""
    targets = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            base = parts[: len(parts) - node.level] if node.level else ()
            path = [*base, *(node.module or "").split(".")] if node.module else [*base]
            if not node.level:
                path = path[1:] if path[0] == "reticle" else None
            if path is not None:
                targets |= {path[0]} if path else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            targets |= {name[1] if len(name) > 1 else "__init__" for name in names if name[0] == "reticle"}
    return targets


@pytest.mark.parametrize("file", sorted(ROOT.rglob("*.py")), ids=lambda f: f.relative_to(ROOT).as_posix())
def test_imports_point_down(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    assert parts[0] in LAYER, f"give {parts[0]} a place in LAYERS"
    for target in imports(file.read_text(encoding="utf-8"), parts):
        same_package = len(parts) > 1 and target == parts[0]
        name = target if target in LAYER else "__init__"  # a public name
        assert same_package or LAYER[name] < LAYER[parts[0]], f"{'/'.join(parts)} imports {target}"


def test_an_upward_import_is_seen():
    lines = ("from .. import modules", "from ..train import fit", "from .border import x", "import reticle.cli, torch")
    assert imports("\n".join(lines), ("sampling", "padding")) == {"modules", "train", "sampling", "cli"}


def test_every_layer_names_files_that_may_exist_once():
    names = " ".join(LAYERS).split()
    assert len(names) == len(set(names))
