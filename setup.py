"""Builds the compiled sampler where torch's headers and a C++ compiler are at hand; elsewhere reticle installs without it and says why.

Everything else about the package is in pyproject.toml. Nothing of torch is imported here: an isolated build has none, but the
environment that it builds for may, and its headers and library are all that is needed.
"""

import importlib.util
import os
import platform
import re
import shlex
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

CSRC = Path("src/reticle/csrc")
INSTALL = "With torch installed, run in a clone: pip install --no-build-isolation ."
# the oldest torch of pyproject.toml: what is compiled against any newer one runs on it, too
TORCH = "-DTORCH_TARGET_VERSION=0x020b000000000000"
# no flag of floating point that changes a result: NaN and infinity keep their meaning. Two sums that lie side by side in memory must not be
# merged into one access, which would wait for the two before it.
FAST = ["-fno-math-errno", "-fno-trapping-math", "-fno-tree-slp-vectorize"]
# -O3 is half as much again to compile and no quicker, measured, once loops are vectorised and short ones unrolled as it would
SPEED = ["-O2", "-ftree-vectorize", "-fvect-cost-model", "-fpeel-loops"]
QUIET = ["-Wno-psabi", "-Wno-unknown-warning-option", "-Wno-ignored-optimization-argument"]  # of what Clang does not know
FLAGS = ["-std=c++17", *SPEED, "-g0", *QUIET, "-fvisibility=hidden", TORCH, *FAST]
X86 = platform.machine().lower() in ("x86_64", "amd64")
AVX2 = ["-mavx2", "-mfma", "-mf16c"]
# GCC 12 takes what its own headers leave undefined on purpose for mistakes
AVX512 = [*(f"-mavx512{part}" for part in ("f", "bw", "dq", "vl")), "-Wno-maybe-uninitialized", "-Wno-uninitialized"]
ONLY = {"avx2": AVX2, "avx512": AVX2 + AVX512, "avx512vbmi": [*AVX2, *AVX512, "-mavx512vbmi"]}
# begun first, for they take longest: nothing is to wait for them at the end
LONGEST = ("narrow_types_avx2.cpp", "kernels_baseline.cpp", "strips_avx512.cpp", "float32_avx2.cpp")
# where few will ever run them: compiled in a third of the time. Nested loops that only -O3 takes apart early enough: a third quicker
LEVEL = {"kernels_baseline.cpp": ["-O1"] if X86 else [], "loads_avx512.cpp": ["-O3"], "lookups_avx512.cpp": ["-O3"]}


def find_torch() -> Path | None:
    """The folder of the torch that is importable, or of that in the environment that the package will go to."""
    spec = importlib.util.find_spec("torch")
    places = [Path(spec.origin).parent] if spec and spec.origin else []
    places += [Path(sysconfig.get_path(kind), "torch") for kind in ("platlib", "purelib")]
    return next((p for p in places if (p / "include/torch/csrc/stable/ops.h").is_file()), None)


def sources() -> list[str]:
    """Every C++ file that this processor can run."""
    files = sorted(CSRC.glob("*.cpp"), key=lambda f: (f.name not in LONGEST, f.name))
    return [f.as_posix() for f in files if X86 or not only(f)]


def only(source: str | Path) -> list[str]:
    """The flags for the instruction set that a file is for: it is named <what>_<instruction set>.cpp."""
    return ONLY.get(Path(source).stem.rpartition("_")[2], [])


def is_current(library: Path) -> bool:
    """Whether a library was built of the sources as they are."""
    return library.is_file() and library.stat().st_mtime >= max(f.stat().st_mtime for f in CSRC.iterdir())


class BuildNative(build_ext):
    """One library without a line of Python's own interface, hence one for every version of Python."""

    def get_ext_filename(self, fullname: str) -> str:
        """Where the library goes; its name does not depend on the version of Python."""
        return f"{fullname.replace('.', '/')}.so"

    def build_extension(self, ext: Extension) -> None:
        """Compile and link, or leave a note of why not; a note of an earlier build goes."""
        target = Path(self.get_ext_fullpath(ext.name))
        note = target.with_suffix(".txt")
        note.unlink(missing_ok=True)
        target.unlink(missing_ok=True)
        why = self._build(target)
        if why is not None:
            print(f"warning: reticle's compiled sampler {why}", file=sys.stderr)
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(f"{why} {INSTALL}\n", encoding="utf-8")

    def copy_extensions_to_source(self) -> None:
        """In an editable install the library, or the note, lies beside the source.

        Where none could be built, one that was built of the same sources before stays: it serves every Python, and every
        torch that the package takes.
        """
        for ext in self.extensions:
            built, there = Path(self.build_lib, self.get_ext_filename(ext.name)), Path("src", self.get_ext_filename(ext.name))
            if is_current(there) and not built.is_file():
                continue
            for suffix in (".so", ".txt"):
                there.with_suffix(suffix).unlink(missing_ok=True)
                if built.with_suffix(suffix).is_file():
                    self.copy_file(str(built.with_suffix(suffix)), str(there.with_suffix(suffix)))

    def get_outputs(self) -> list[str]:
        """What goes into a wheel: the library or the note."""
        return [name for ext in self.extensions for name in self._made(Path(self.get_ext_fullpath(ext.name)))]

    def _made(self, target: Path) -> list[str]:
        return [str(f) for f in (target, target.with_suffix(".txt")) if f.is_file()]

    def _build(self, target: Path) -> str | None:
        torch = find_torch()
        if self.compiler.compiler_type != "unix":
            return "was not built: it needs a compiler that takes the options of GCC and Clang."
        if torch is None:
            return "was not built: torch was not at hand when the package was built."
        try:
            self._compile(torch, target)
        except (CCompilerError, BaseError, OSError) as error:
            why = re.sub(r"\['([^']*)'.*\]", r"\1", str(error)).rstrip(".")  # of a command with all its options, its name
            return f"was not built: {why or type(error).__name__}."
        return None

    def _compile(self, torch: Path, target: Path) -> None:
        def compile_one(source: str) -> list[str]:
            # setuptools puts CXXFLAGS in front; they shall have the last word
            flags = [*FLAGS, *only(source), *LEVEL.get(Path(source).name, []), *shlex.split(os.environ.get("CXXFLAGS", ""))]
            return self.compiler.compile([source], output_dir=self.build_temp, include_dirs=[str(torch / "include")], extra_postargs=flags)

        names = sources()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            made = dict(zip(names, pool.map(compile_one, names), strict=True))
        # of what several files define alike, such as parts of the standard library, the linker keeps the first: what any processor runs
        objects = [o for name in sorted(names, key=lambda n: len(only(n))) for o in made[name]]
        # no search path is written into it: whoever loads it has loaded torch
        folders = [str(torch / "lib")]
        self.compiler.link_shared_object(objects, str(target), libraries=["torch_cpu"], library_dirs=folders, target_lang="c++")


class AnyPython(bdist_wheel):
    """The wheel is for one kind of machine, but for any Python 3."""

    def get_tag(self) -> tuple[str, str, str]:
        """``py3-none-<machine>``"""
        return "py3", "none", super().get_tag()[2]


setup(
    ext_modules=[Extension("reticle.sampling._native", sources())],
    cmdclass={"build_ext": BuildNative, "bdist_wheel": AnyPython},
)
