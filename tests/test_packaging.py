"""What an installed wheel holds: the library and the recipes, and nothing of the repository around them."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The names in a wheel, built from a copy: building writes into the source tree."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    how = ["-q", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([sys.executable, "-m", "pip", "wheel", *how, "-w", folder, source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (file,) = folder.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        return {name: archive.getinfo(name).file_size for name in archive.namelist()}


@pytest.mark.slow
def test_a_wheel_holds_every_source_file_and_recipe(wheel):
    wanted = [f for pattern in ("*.py", "*.yaml", "*.result.json", "py.typed") for f in (ROOT / "src" / "reticle").rglob(pattern)]
    missing = {f.relative_to(ROOT / "src").as_posix() for f in wanted} - set(wheel)
    assert len(wanted) > 40 and not missing, missing


@pytest.mark.slow
def test_a_wheel_holds_nothing_else(wheel):
    assert {name.split("/")[0].split("-")[0] for name in wheel} == {"reticle"}
    assert not [name for name in wheel if "test_" in name]
