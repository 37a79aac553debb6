"""The command line: quick help, each command, one clear line and exit code 2 for every fault of the user's."""

import subprocess
import sys
from pathlib import Path

import pytest
import tiny
from PIL import Image

import reticle
from reticle import cli, show
from reticle.recipe import dump, load
from reticle.train import Training
from reticle.training import results
from reticle.training.runs import Run

TIMED_HELP = """
import contextlib, io, sys, time
start = time.process_time()
from reticle.cli import main
sys.argv = ["reticle", *sys.argv[1:]]
out = io.StringIO()
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(out):
    main()
print(time.process_time() - start, "torch" in sys.modules, "train" in out.getvalue())
"""


@pytest.fixture
def run(monkeypatch, capfd):
    """Run the command line; return its exit code, stdout and stderr."""

    def run(*args):
        monkeypatch.setattr(sys, "argv", ["reticle", *map(str, args)])
        monkeypatch.setattr(sys, "path", sys.path.copy())
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = stop.code
        return code, *capfd.readouterr()

    return run


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """A recipe file; the current folder is one of its own."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.yaml"
    file.write_text(dump(tiny.recipe()))
    return file


@pytest.fixture
def without_pictures(monkeypatch):
    """Drawing takes seconds."""
    monkeypatch.setattr(show, "show_run", lambda run, *, data_dir=None: [])


def test_a_network_is_found_in_the_current_folder(run, recipe, without_pictures):
    own = "from tiny import Plain\n\n\ndef make(input_shape, num_classes):\n    return Plain(input_shape, num_classes)\n"
    Path("nets_of_mine.py").write_text(own)
    code, out, error = run("train", recipe, "--set", "model=nets_of_mine:make", "--set", "train.steps=2")
    assert code == 0 and "after 2 steps" in out, error
    assert "nets_of_mine" in sys.modules


@pytest.mark.parametrize("args", [["--help"], ["train", "--help"]])
def test_help_comes_at_once_and_without_torch(args):
    timed = subprocess.run([sys.executable, "-c", TIMED_HELP, *args], capture_output=True, text=True, check=True)
    seconds, has_torch, helped = timed.stdout.split()
    assert float(seconds) < 0.5
    assert (has_torch, helped) == ("False", "True")


def test_python_m_reticle_is_reticle():
    done = subprocess.run([sys.executable, "-m", "reticle", "train", "nothing"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("reticle: recipe must be a known name or the path of a YAML file; got 'nothing'.\n")


def test_help_names_every_command(run):
    code, out, _ = run("--help")
    assert code == 0 and all(f"• {name} " in out for name in cli.COMMANDS)
    assert list(cli.COMMANDS) == ["info", "recipes", "train", "eval", "show", "keep", "predict", "bench"]


def test_info_says_which_backend_does_what(run):
    code, out, _ = run("info")
    assert code == 0 and f"torch     {reticle.info.torch.__version__}" in out
    assert all(f"  {mode} " in out for mode in reticle.MODES)
    assert "aten has no" in out


def test_recipes_lists_every_recipe(run):
    code, out, _ = run("recipes")
    assert code == 0 and all(name in out for name in results.names())
    assert len([line for line in out.splitlines() if " × " in line]) == 1 + len(results.names())


def test_a_run_from_training_to_its_pictures(run, recipe, tmp_path):
    code, out, err = run("train", recipe, "--set", "train.steps=12", "seed=3", "--set", "train.eval_every=6")
    folder = Path("runs/tiny/3")
    assert code == 0 and out.startswith("error_percent ") and "after 12 steps" in out
    assert "step 6 of 12: test error" in err and "step 12 of 12: test error" in err
    assert Run(folder).result.exists() and load(Run(folder).recipe).train.steps == 12
    pictures = [line for line in out.splitlines() if line.startswith("runs/")]
    assert pictures
    for picture in pictures:
        with Image.open(picture) as image:
            image.load()
    assert run("eval", folder)[1].startswith("tiny, seed 3: test error ")
    assert run("show", folder)[1].splitlines()[-1] == pictures[-1]
    assert run("keep", folder, "--out", tmp_path / "kept.json")[1] == f"{tmp_path / 'kept.json'}\n"


def test_an_error_is_told_in_the_unit_of_its_task(run, recipe, without_pictures):
    task = ("--set", "task=tiny:Apart", "source.metric=mean_distance", "train.steps=2")
    code, out, err = run("train", recipe, *task)
    value = results.read_result(Run(Path("runs/tiny/0"))).value
    assert code == 0 and f"step 2 of 2: test error {value:.2f} classes\n" in err and out.startswith(f"mean_distance {value:.2f} after")
    assert run("eval", "runs/tiny/0")[1] == f"tiny, seed 0: test error {value:.2f} classes of 40 images\n"
    assert run("train", recipe, *task, "--seeds", "1,2")[2].count(" classes\n") == 2


def test_several_seeds_and_recipes_are_trained_at_a_time(run, recipe, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(dump(tiny.recipe(lr=0.05)).replace("name: tiny\n", "name: other\n", 1))
    command = ("train", recipe, other, "--set", "train.steps=3", "--seeds", "0,2", "--out", tmp_path / "my runs")
    code, out, err = run(*command)
    rows = [line.split()[:4] for line in out.splitlines() if "error_percent" in line]
    folders = [("tiny", "0"), ("tiny", "2"), ("other", "0"), ("other", "2")]
    assert code == 0 and [tuple(row[:2]) for row in rows] == folders
    for (name, seed), row in zip(folders, rows, strict=True):
        result = results.read_result(Run(tmp_path / "my runs" / name / seed))
        assert (result.recipe, result.seed, row[3]) == (name, int(seed), f"{result.value:.2f}")
        assert f"{name}, seed {seed}: step 3 of 3: test error {result.value:.2f} %" in err
    code, _, err = run(*command)
    assert code == 2 and "0: holds a complete run." in err
    assert run(*command, "--resume")[1] == out


def test_one_seed_is_an_ordinary_run(run, recipe, without_pictures):
    code, out, _ = run("train", recipe, "--smoke", "--seeds", "4")
    assert code == 0 and out.startswith("error_percent ") and "after 2 steps" in out
    assert Run(Path("runs/smoke/tiny/4")).result.exists()


def test_smoke_runs_have_a_place_of_their_own(run, recipe, without_pictures):
    for _ in range(2):
        code, out, _ = run("train", recipe, "--smoke")
        assert code == 0 and "after 2 steps" in out
    code, out, _ = run("train", recipe, "--smoke", "--set", "train.steps=3", "seed=1")
    assert code == 0 and "after 3 steps" in out
    assert all(Run(Path("runs/smoke/tiny", seed)).result.exists() for seed in "01") and not Path("runs/tiny").exists()
    code, _, err = run("keep", "runs/smoke/tiny/1", "--out", "kept.json")
    assert code == 2 and "runs/smoke/tiny/1: must not be a smoke run" in err


def test_interrupted_run_says_how_to_go_on(run, recipe, without_pictures, tmp_path, monkeypatch):
    def stop(training):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Training, "update", stop)
        code, _, err = run("train", recipe, "--out", tmp_path / "my run")
    assert code == 130
    assert err.splitlines()[-1] == f"reticle: stopped; to go on: reticle train {recipe} --out '{tmp_path / 'my run'}' --resume"
    assert run("train", recipe, "--out", tmp_path / "my run", "--resume", "--set", "train.steps=30")[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(Training, "update", stop)
        code, _, err = run("train", recipe, "--seeds", "1,2")
    assert code == 130 and err.splitlines()[-1] == f"reticle: stopped; to go on: reticle train {recipe} --seeds 1,2 --resume"
    assert run("train", recipe, "--seeds", "1,2", "--resume")[0] == 0


@pytest.mark.parametrize(
    "args, message",
    [
        (["train", "jaderberg2015/mnist_r_cnn_afine"], "Did you mean jaderberg2015/mnist_r_cnn_affine"),
        (["train", "mine.yaml", "--set", "train.lr=1e-3"], "--set train.lr=1e-3: train.lr: must be float; got '1e-3'.\n  YAML takes"),
        (["train", "mine.yaml", "--set", "seed=1", "trian.lr=0.1"], "--set trian.lr=0.1: unknown key 'trian'. Did you mean 'train'?"),
        (["train", "mine.yaml", "--set", "model.depth=3"], "model.depth: 'tiny:Look' has no argument 'depth'."),
        (["train", "mine.yaml", "--set", "data.nan_at=2"], "θ of `transformer` is not finite after 2 steps; training has stopped."),
        (["train", "mine.yaml", "--out", "mine.yaml/run"], "cannot write mine.yaml/run: Not a directory."),
        (["train", "mine.yaml", "--out", "mine.yaml"], "mine.yaml must be a folder to write into; it is a file.\n  Choose another --out."),
        (["train"], "fit_together: `recipes` must be one or more; got none."),
        (["train", "mine.yaml", "mine.yaml"], "fit_together: `outs` must be different folders; got runs/tiny/0 more than once."),
        (
            ["train", "mine.yaml", "--seeds", "0,x"],
            "--seeds must be different whole numbers of at least 0 with commas between, such as 0,1",
        ),
        (["train", "mine.yaml", "--seeds", "1,01"], "--seeds must be different whole numbers"),
        (["train", "mine.yaml", "--seeds", "1,2", "--set", "seed=3"], "--seeds must not be given beside --set seed=...; got '1,2'."),
        (["eval", "nowhere"], "run must be a folder that `reticle train` wrote, or ship with the package; got 'nowhere', "),
        (["show", "nowhere"], "nowhere"),
        (["keep", "nowhere"], "nowhere: must be a complete run; it has no result.json."),
        (["keep"], "keep: `runs` must be one or more folders; got none."),
    ],
)
def test_fault_of_the_user_is_one_message(run, recipe, args, message):
    code, out, err = run(*args)
    assert code == 2 and out == ""
    assert err.startswith("reticle: ") and message in err and "Traceback" not in err
    assert len(err.splitlines()) <= 2


def test_unknown_options_are_answered(run, recipe):
    code, _, err = run("train", recipe, "--steps", "3")
    assert code == 2 and "--steps" in err


def test_traceback_is_there_for_those_who_ask(run, recipe, monkeypatch):
    monkeypatch.setenv("RETICLE_TRACEBACK", "1")
    with pytest.raises(FileNotFoundError):
        run("train", "nothing")


def test_only_the_first_process_speaks(run, recipe, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert run("train", "nothing") == (2, "", "")


@pytest.mark.parametrize(
    "args, same",
    [
        (["--set", "a=1", "b=2"], ["--set", "a=1", "--set", "b=2"]),
        (["--set", "a=1", "--set", "b=2"], ["--set", "a=1", "--set", "b=2"]),
        (["x", "--set", "a=[1, 2]", "b=2", "--smoke", "--out=d"], ["x", "--set", "a=[1, 2]", "--set", "b=2", "--smoke", "--out=d"]),
        (["--set", "a=1", "x", "b=2"], ["--set", "a=1", "x", "b=2"]),
        (["--out", "d=1"], ["--out", "d=1"]),
        (["--set"], ["--set"]),
        ([], []),
    ],
)
def test_changes_may_follow_one_set_or_many(args, same):
    assert cli._one_set_each(args) == same
