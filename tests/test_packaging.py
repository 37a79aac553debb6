"""What an installed wheel holds: the library and the recipes, and nothing of the repository around them; compiled code where it can."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from reticle.sampling import native

ROOT = Path(__file__).parents[1]
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]  # by one worker: it takes a minute to build


def copied(folder):
    """A copy of what is built, since building writes into the source tree."""
    source = folder / "source"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__", "_native.*"))
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    return source


def build(folder, **environment):
    """The wheel, built quickly rather than well."""
    source = copied(folder)
    how = ["-q", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *how, "-w", folder, source],
        capture_output=True,
        text=True,
        env={**os.environ, "CXXFLAGS": "-O0", **environment},
    )
    assert done.returncode == 0, done.stderr
    (file,) = folder.glob("*.whl")
    return file


def info(file, folder):
    """The line that ``reticle info`` has on the compiled sampler, from an installed wheel."""
    target = folder / "installed"
    how = ["-q", "--no-deps", "--no-index", "--disable-pip-version-check", "--target", target]
    subprocess.run([sys.executable, "-m", "pip", "install", *how, file], check=True)
    environment = {k: v for k, v in os.environ.items() if k != "RETICLE_NATIVE"} | {"PYTHONPATH": str(target)}
    command = [sys.executable, "-m", "reticle", "info"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("native ")]
    return line.removeprefix("native").strip()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def wheel(file):
    """The names in a wheel and their sizes."""
    with zipfile.ZipFile(file) as archive:
        return {name: archive.getinfo(name).file_size for name in archive.namelist()}


def test_a_wheel_holds_every_source_file_and_recipe(wheel):
    patterns = ("*.py", "*.yaml", "*.result.json", "*.safetensors", "py.typed")
    wanted = [f for pattern in patterns for f in (ROOT / "src" / "reticle").rglob(pattern)]
    missing = {f.relative_to(ROOT / "src").as_posix() for f in wanted} - set(wheel)
    assert len(wanted) > 40 and not missing, missing


def test_a_wheel_holds_nothing_else(wheel):
    assert {name.split("/")[0].split("-")[0] for name in wheel} == {"reticle"}
    assert not [name for name in wheel if "test_" in name]
    assert not [name for name in wheel if name.endswith((".cpp", ".h"))]


def test_a_wheel_is_for_any_python_and_has_the_library_or_a_reason(wheel, file):
    (made,) = {Path(name).name for name in wheel if "/_native." in name}
    assert file.name.split("-")[2:4] == ["py3", "none"]
    if native.WHY_NOT is None:  # what can be built here can be built again
        assert made == "_native.so"


@pytest.mark.skipif(os.environ.get("RETICLE_NATIVE") == "0", reason="what is switched off here may be built there")
def test_an_installed_wheel_says_which_kernels_it_has(file, tmp_path):
    line = info(file, tmp_path)
    if native.WHY_NOT is None:
        assert line == native.instruction_set()
    else:
        assert line.startswith("was not built: ")


def test_without_a_compiler_it_installs_and_says_why_it_is_not_fast(tmp_path):
    file = build(tmp_path, CC="/bin/false", CXX="/bin/false")
    line = info(file, tmp_path)
    assert line.startswith("was not built: ") and "/bin/false" in line and "-std=" not in line and ".." not in line
    assert line.endswith("With torch installed, run in a clone: pip install --no-build-isolation .")


def test_a_build_without_a_compiler_leaves_a_library_of_the_same_sources_where_it_is(tmp_path):
    source = copied(tmp_path)
    library = source / "src/reticle/sampling/_native.so"
    library.write_bytes(b"built before")

    def build_in_place():
        command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
        subprocess.run(command, cwd=source, env={**os.environ, "CC": "/bin/false", "CXX": "/bin/false"}, check=True, capture_output=True)

    build_in_place()
    assert library.read_bytes() == b"built before" and not library.with_suffix(".txt").exists()
    os.utime(library, (0, 0))  # older than the sources
    build_in_place()
    assert not library.exists() and "was not built" in library.with_suffix(".txt").read_text()
