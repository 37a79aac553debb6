"""What README and docs say is true: code runs, commands exist, links lead somewhere, generated tables are fresh."""

import contextlib
import importlib.util
import io
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

import reticle
from reticle.cli import COMMANDS
from reticle.recipe import names

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")]
PAGES += sorted(f for f in (ROOT / "docs").rglob("*.md") if "_build" not in f.parts)
FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def page_id(page):
    return page.relative_to(ROOT).as_posix()


def blocks(text, languages):
    """Each fenced block in one of ``languages``, with as many empty lines before it as it stands below the top."""
    for match in FENCE.finditer(text):
        if match[1] in languages:
            yield "\n" * (text[: match.start(2)].count("\n")) + match[2]


@pytest.fixture
def registries_restored():
    registries = [getattr(reticle, name) for name in reticle.__all__ if name.isupper()]
    before = [dict(registry) for registry in registries]
    yield
    for registry, entries in zip(registries, before, strict=True):
        registry.clear()
        registry.update(entries)


@pytest.mark.compile
@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if "```python" in p.read_text(encoding="utf-8")], ids=page_id)
def test_python_blocks_run_from_top_to_bottom(page, registries_restored, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType("page")  # a real one: torch.compile looks the names of functions up in their module
    monkeypatch.setitem(sys.modules, "page", module)
    for code in blocks(page.read_text(encoding="utf-8"), {"python"}):
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(code, page, "exec"), module.__dict__)
    assert not list(tmp_path.iterdir()), "leaves files behind"


def test_readme_shows_python_within_thirty_lines():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text[: text.index("```python")].count("\n") < 30


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_and_pictures_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", FENCE.sub("", page.read_text(encoding="utf-8")))
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not missing, missing


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_exist(page):
    text = page.read_text(encoding="utf-8")
    shown = "\n".join([*blocks(text, {"", "sh", "bash"}), *re.findall(r"`([^`\n]+)`", text)])
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    unknown = {f"make {t}" for t in re.findall(r"^make ([a-z]+)", shown, re.MULTILINE)} - {f"make {t}" for t in targets}
    calls = re.findall(r"^reticle ([a-z]+)(?: ((?:digits|gtsrb|jaderberg2015|moodstocks2015)/\S+))?", shown, re.MULTILINE)
    unknown |= {f"reticle {command}" for command, _ in calls if command not in COMMANDS}
    unknown |= {recipe for _, recipe in calls if recipe and recipe not in names() and "." not in recipe}
    assert not unknown, unknown


def test_generated_tables_are_fresh():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    for name in generate.FILES:
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "<!-- table" in text, name
        assert generate.renewed(text) == text, f"{name}: run `make docs`"


def test_no_path_of_one_machine_is_written_down():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    pattern = re.compile(r"(?<![\w.~])/(?:work|root|home|Users|opt|mnt)/\w|\.\./shared")
    texts = (ROOT / name for name in listed.stdout.splitlines() if Path(name).suffix in {".py", ".md", ".toml", ".yaml", ".json", ".txt"})
    found = [f"{file.name}: {m[0]}" for file in texts if file.is_file() for m in [pattern.search(file.read_text(encoding="utf-8"))] if m]
    assert not found, found
