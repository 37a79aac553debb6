"""Which mistakes would the tests miss? Each mutant is one plausible slip in the core; the tests must fail on it.

    python tests/mutants.py              all of them: ten minutes on one core
    python tests/mutants.py tps compose  those whose file or line contains a word

Works on a copy of the tree and prints the survivors: each is a missing test. Not part of ``make test``.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
MAPS = "test_transform*.py test_compose.py"
SAMPLER = "test_sampling*.py test_wild_points.py test_backends.py test_modes.py test_transforms_independent.py test_properties.py"
LAYER = "test_module*.py"
BENCH = "test_bench*.py"


class Mutant(NamedTuple):
    """``old`` becomes ``new`` in ``src/reticle/file``; one of ``tests`` must notice."""

    file: str
    old: str
    new: str
    tests: str


MUTANTS = (
    Mutant("grid.py", "(2 * pixel + (length - size + 1)) / length - 1", "(2 * pixel + (length - size)) / length - 1", "test_grid.py"),
    Mutant("grid.py", "(size - 1) / 2", "size / 2", "test_grid.py"),
    Mutant("grid.py", 'indexing="ij")[::-1]', 'indexing="ij")', "test_grid.py"),
    Mutant(
        "grid.py", "for row in matrix.unbind(1)]", "for row in torch.cat([matrix[:, :d, :d].mT, matrix[:, :d, d:]], -1).unbind(1)]", MAPS
    ),
    Mutant("grid.py", "visible = (w > limits.tiny**0.5)", "visible = (w != 0)", MAPS),
    Mutant("grid.py", "torch.where(visible, w, 1), torch.inf)", "torch.where(visible, w, 1), 0)", MAPS),
    Mutant("grid.py", "wide = torch.float32", "wide = torch.float16", MAPS + " test_grid.py"),
    Mutant("grid.py", " & (numerator.abs() < w * w * limits.max)", "", MAPS + " test_grid.py test_wild_points.py test_module*.py"),
    Mutant("grid.py", "row[:, d, None])", "0 * row[:, d, None])", MAPS),
    Mutant("transforms/base.py", "self.move(theta.to(dtype), points.to(dtype)", "self.move(theta, points", MAPS),
    Mutant("transforms/base.py", "log_scale.clamp(-30, 30)", "log_scale", MAPS + " test_module*.py"),
    Mutant("transforms/rotation.py", "[c, -s]", "[c, s]", MAPS),
    Mutant("transforms/rotation.py", "lengths[None, :] / lengths[:, None]", "lengths[:, None] / lengths[None, :]", MAPS),
    Mutant("transforms/rotation.py", "reversed(size)", "size", MAPS),
    Mutant("transforms/rotation.py", "[z, zero, -x]", "[-z, zero, x]", MAPS),
    Mutant("transforms/rotation.py", "_sinc(square / 4)", "_sinc(square)", MAPS),
    Mutant("transforms/rotation.py", "wide.clamp(-_FAR, _FAR)", "wide", MAPS),
    Mutant("transforms/rotation.py", "square < 0.25", "square < 0", MAPS),
    Mutant("transforms/similarity.py", "positive(log_scale)[..., None] * rotation(angle, size)", "rotation(angle, size)", MAPS),
    Mutant("transforms/similarity.py", "positive(-log_scale)", "positive(log_scale)", MAPS),
    Mutant("transforms/similarity.py", "[NUM_ANGLES[self.ndim], 1, self.ndim]", "[1, NUM_ANGLES[self.ndim], self.ndim]", MAPS),
    Mutant("transforms/rigid.py", "back = rotation(-angle, size)", "back = rotation(-angle, None)", MAPS),
    Mutant("transforms/attention.py", "-theta[:, 1:] / positive(theta[:, :1])", "-theta[:, 1:]", MAPS),
    Mutant("transforms/attention.py", "self.has_identity = scale in (None, 1)", "self.has_identity = True", MAPS),
    Mutant("transforms/attention.py", "theta[:, -self.ndim :])", "theta[:, : self.ndim])", MAPS),
    Mutant("transforms/translation.py", "return -theta", "return theta", MAPS),
    Mutant("transforms/projective.py", "(back / corner)", "back", MAPS),
    Mutant("transforms/compose.py", "in reversed(self._parts(theta))", "in self._parts(theta)", MAPS),
    Mutant("transforms/compose.py", "torch.where(seen, points, 0), size)", "torch.where(seen, points, 0), None)", MAPS),
    Mutant("transforms/compose.py", "torch.where(seen, points, 0)", "points", MAPS),
    Mutant("transforms/tps.py", "r2 * torch.where(r2 > 0, r2, 1).log()", "r2.sqrt() * torch.where(r2 > 0, r2, 1).log()", "test_tps.py"),
    Mutant("transforms/tps.py", "regularisation * torch.eye", "2 * regularisation * torch.eye", "test_tps.py"),
    Mutant("transforms/tps.py", "(self.lattice, align_corners=True,", "(self.lattice, align_corners=False,", "test_tps.py"),
    Mutant("transforms/tps.py", "control.to(self.control.device)", "self.control", "test_tps.py"),
    Mutant("transforms/tps.py", '"control", control, persistent=False', '"control", control, persistent=True', "test_tps.py"),
    Mutant("modules.py", "nn.init.zeros_(self.head.weight)", "pass", LAYER),
    Mutant("modules.py", "transform.identity() if start is None else start", "transform.identity()", LAYER),
    Mutant("modules.py", "theta = theta.to(coordinate_dtype(theta.dtype))", "pass", LAYER),
    Mutant("modules.py", "max(extent(n, align_corners=self.align_corners), 1)", "max(n, 1)", LAYER),
    Mutant("modules.py", "self.transform(theta, target, size)", "self.transform(theta, target)", LAYER),
    Mutant("modules.py", "self.transform.matrix(theta, size)", "self.transform.matrix(theta)", LAYER),
    Mutant("modules.py", "lambda: grid(out)", "lambda: grid(dense)", LAYER),
    Mutant("modules.py", "base_grid(resolution, align_corners=self.align_corners,", "base_grid(resolution,", LAYER),
    Mutant("modules.py", "if self.antialias > 1:", "if self.antialias > 2:", LAYER),
    Mutant("modules.py", "1) for n in x.shape[2:])", "1) for n in reversed(x.shape[2:]))", LAYER),
    Mutant("modules.py", "if self._grid is not None:", "if False:", LAYER),
    Mutant("sampling/modes.py", "torch.where(d < 0, 1 + d, 1 - d)", "1 - d.abs()", SAMPLER + " test_modules.py"),
    Mutant("sampling/modes.py", "a = -0.75\n", "a = -0.5\n", SAMPLER),
    Mutant("sampling/reference.py", "(kernel.support - 2) / 2", "(kernel.support - 1) / 2", SAMPLER),
    Mutant("sampling/reference.py", "& (taps >= 0)", "& (taps > 0)", SAMPLER),
    Mutant("sampling/padding.py", "period - i if align_corners else period - 1 - i", "period - 1 - i", SAMPLER),
    Mutant("sampling/padding.py", "torch.where(grid.abs() < torch.inf, grid, -far)", "grid", SAMPLER + " test_modules.py"),
    Mutant("sampling/aten.py", "torch.where(grid.isfinite().all(-1)[:, None], output, 0)", "output", SAMPLER),
    Mutant("grid.py", "base_grid(size, align_corners=align_corners, dtype=coordinate", "base_grid(size, dtype=coordinate", "test_warp.py"),
    Mutant("sampling/reference.py", "output.round().clamp(0, 255)", "output.clamp(0, 255)", "test_out.py"),
    Mutant("sampling/native_rules.py", "g.sum(1, keepdim=True) if one else g", "g", "test_native_transforms.py"),
    Mutant("sampling/native_rules.py", "how = (grad.shape[2:], *how)", "how = (input.shape[2:], *how)", "test_native_transforms.py"),
    Mutant("sampling/native_rules.py", "if forward_ad._current_level >= 0 or torch.jit", "if torch.jit", "test_native_transforms.py"),
    Mutant("sampling/output.py", "and not any(_same", "and any(_same", "test_out.py"),
    Mutant("bench/parity.py", "nan_to_num(math.inf)", "nan_to_num(0.0)", BENCH),
    Mutant("bench/parity.py", "wrong <= share", "wrong <= 0.5", BENCH),
    Mutant("bench/parity.py", "2e-3 * side**0.5", "0.2 * side**0.5", BENCH),
    Mutant(
        "bench/run.py",
        "refused[name] = fault\n        else:\n            calls",
        "refused[name] = fault\n        if True:\n            calls",
        BENCH,
    ),
    Mutant("bench/inputs.py", "(n - 1) / 2 for n", "n / 2 for n", BENCH),
    Mutant("bench/peers.py", "(3 * read + 2 * written) // 2", "(2 * read + 3 * written) // 2", BENCH),
    Mutant("bench/table.py", "if _ratio(row, ours) < 1", "if _ratio(row, ours) < 0.9", BENCH),
    Mutant("bench/results.py", "row.median_ms <= 0 or ", "", BENCH),
)


def killed(mutant: Mutant, tree: Path) -> bool:
    """Whether the tests fail on the copy in ``tree`` with this mutant in it."""
    path = tree / "src" / "reticle" / mutant.file
    original = path.read_text()
    if original.count(mutant.old) != 1:
        raise SystemExit(
            f"{mutant.file}: {mutant.old!r} must occur once; it occurs {original.count(mutant.old)} times. Bring it up to date."
        )
    path.write_text(original.replace(mutant.old, mutant.new))
    try:
        return run_tests(mutant.tests.split(), tree) != 0
    finally:
        path.write_text(original)


def run_tests(patterns: list[str], tree: Path) -> int:
    """Exit status of pytest on the files of the copy in ``tree`` that match."""
    files = sorted({str(path) for pattern in patterns for path in (tree / "tests").glob(pattern)})
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not compile and not slow"]
    environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *files], cwd=tree, env=environment, capture_output=True, text=True)
    if done.returncode not in (0, 1, 2):  # passed, failed, did not even import
        raise SystemExit(done.stdout + done.stderr)
    return done.returncode


def main(words: list[str]) -> int:
    chosen = [m for m in MUTANTS if not words or any(word in m.file or word in m.old for word in words)]
    survivors = []
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for name in ("src", "tests", "conftest.py", "pyproject.toml"):
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, tree / name)
        if run_tests([pattern for m in chosen for pattern in m.tests.split()], tree) != 0:
            raise SystemExit("The tests fail without any mutant.")
        for mutant in chosen:
            start = time.monotonic()
            dead = killed(mutant, tree)
            print(f"{'killed  ' if dead else 'SURVIVED'} {time.monotonic() - start:5.0f} s  {mutant.file}: {mutant.old}", flush=True)
            survivors += [] if dead else [mutant]
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} killed")
    return len(survivors)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
