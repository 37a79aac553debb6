"""What every test and every doctest gets: one device, fixed seeds, memory that shows when it is read before it is written."""

import dataclasses
import importlib.util
import math
import os
import random
import signal
from pathlib import Path

# two workers with all cores each are slower than two with one; before torch starts its threads, and for child processes too
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import hypothesis
import numpy as np
import pytest
import torch

import reticle

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)

# a shell that starts the suite in the background hands down that Ctrl-C is ignored, by which training goes
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# the same examples in every run: a red test is red for everybody
hypothesis.settings.register_profile("reticle", derandomize=True, database=None, deadline=None, max_examples=50, print_blob=True)
hypothesis.settings.load_profile("reticle")


# kernels cannot even be read without their module
collect_ignore_glob = [] if importlib.util.find_spec("triton") else ["src/reticle/sampling/triton_kernels/*"]
INTERPRETED = os.environ.get("TRITON_INTERPRET", "0") == "1" and not collect_ignore_glob


def _quicken_the_interpreter():
    """Triton's interpreter prepares its language anew for each function within a kernel, and checks each sum of integers by another."""
    import triton.language as tl
    from triton.runtime import interpreter

    prepare = interpreter._patch_lang

    def once(fn):
        seen = [module for module in fn.__globals__.values() if module is tl or module is tl.core]
        return prepare(fn) if any(tl.core.is_builtin(module.load) for module in seen) else interpreter._LangPatchScope()

    interpreter._patch_lang = once
    builder = interpreter.interpreter_builder
    builder.options = dataclasses.replace(builder.options, sanitize_overflow=False)


if INTERPRETED:
    _quicken_the_interpreter()


def pytest_configure(config):
    # for what is parametrised when files are read, before any fixture
    os.environ["RETICLE_TEST_DEVICE"] = torch.device(config.getoption("--device")).type


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", help="where tensors live: cpu, cuda, cuda:1, ...")


def pytest_collection_modifyitems(config, items):
    items.sort(key=lambda item: "slow" in item.keywords)  # stable: unit tests first
    if not config.getoption("--device").startswith("cuda"):
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="needs --device cuda"))


@pytest.fixture
def device(request):
    return torch.device(request.config.getoption("--device"))


@pytest.fixture
def mnist_dir():
    """The folder to give as ``data_dir`` where the files of MNIST are at hand; nothing is downloaded."""
    folder = Path(os.environ.get("RETICLE_DATA", "."))
    if "RETICLE_DATA" not in os.environ or not (folder / "mnist" / "train-images-idx3-ubyte.gz").exists():
        pytest.skip("RETICLE_DATA does not name a folder with mnist/")
    return folder


@pytest.fixture(autouse=True)
def _seeded():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _backend_restored():
    with reticle.use_backend("auto"):
        yield


@pytest.fixture(autouse=True)
def _doctest_names(doctest_namespace):
    doctest_namespace.update({name: getattr(reticle, name) for name in reticle.__all__ if not name.startswith("_")})
    doctest_namespace.update(math=math, np=np, torch=torch, nn=torch.nn, F=torch.nn.functional, reticle=reticle)


@pytest.fixture(autouse=True)
def _poisoned_memory(request, monkeypatch):
    """Whoever reads memory that nobody has written reads NaN."""
    if "compile" in request.keywords:
        return  # the compiler must see torch's own functions

    def poisoned(make):
        def empty(*args, **kwargs):
            tensor = make(*args, **kwargs)
            writable = tensor.is_floating_point() and not tensor.requires_grad and tensor.device.type != "meta"
            return tensor.fill_(math.nan) if writable else tensor

        return empty

    for owner, name in ((torch, "empty"), (torch, "empty_like"), (torch.Tensor, "new_empty")):
        monkeypatch.setattr(owner, name, poisoned(getattr(owner, name)))


@pytest.fixture
def write_recipe(tmp_path):
    """Give the text, or the bytes, of a recipe; get its file."""

    def write(text):
        file = tmp_path / "mine.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    return write
