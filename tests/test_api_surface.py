"""No public name vanishes, no signature changes, and nothing happens at import, unnoticed.

A change that is meant: ``python tests/test_api_surface.py`` writes the new surface; commit it with a line in CHANGELOG.md.
"""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import torch.nn.functional as F

import reticle

FILE = Path(__file__).with_name("api_surface.json")


def signature(thing: object) -> str | None:
    """Names, kinds and defaults of the parameters, without annotations; None for what cannot be called."""
    if not callable(thing):
        return None
    parameters = inspect.signature(thing).parameters.values()
    return str(inspect.Signature([p.replace(annotation=p.empty) for p in parameters]))


def surface() -> dict[str, dict[str, object]]:
    """What users rely on: each public name with its signature, and what the registries know."""
    names = {name: signature(getattr(reticle, name)) for name in sorted(reticle.__all__) if name != "__version__"}
    registries = {name: sorted(getattr(reticle, name)) for name in names if name.isupper()}
    return {"names": names, "registered": registries}


def test_the_public_surface_is_the_one_committed():
    committed = json.loads(FILE.read_text(encoding="utf-8"))
    assert surface() == committed, "run `python tests/test_api_surface.py` if the change is meant"


def test_every_public_name_is_there_and_documented():
    for name in reticle.__all__:
        thing = getattr(reticle, name)
        # its own: what a class does not say of itself, inspect.getdoc() takes from nn.Module
        assert not callable(thing) or vars(thing).get("__doc__", getattr(thing, "__doc__", None)), name


def test_grid_sample_takes_what_torchs_takes():
    theirs = list(inspect.signature(F.grid_sample).parameters)
    ours = list(inspect.signature(reticle.grid_sample).parameters)
    assert ours[: len(theirs)] == theirs


def test_nothing_happens_at_import(tmp_path):
    script = "import sys, reticle; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-B", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), "torch is imported, or something is printed"
    assert not list(tmp_path.iterdir()), "a file is written"


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(reticle, "SpatialTransformr")


if __name__ == "__main__":
    FILE.write_text(json.dumps(surface(), indent=1) + "\n", encoding="utf-8")
