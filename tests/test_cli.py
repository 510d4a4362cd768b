import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from helpers import ROOT, SMALL, command, contents, refusal, small

import gan_tf
from gan_tf.run import images
from gan_tf.run.rundir import RunDir

NO_TENSORFLOW = """
import sys
from gan_tf.cli import main
for arguments in {commands}:
    try:
        main(arguments)
    except SystemExit:
        pass
    assert "tensorflow" not in sys.modules, arguments
"""


def test_a_finished_run_says_so_at_once_without_tensorflow(small_run):
    """Nor do help, a mistake or the minimax game import it."""
    before = contents(small_run)
    commands = [
        *(["train", "--help"], ["minimax", "--json"], ["train", "--batch-size=0"]),
        *(["draw", "--run-dir=nowhere"], ["export", "--pretrained", "--output=generator"]),
        small(small_run),
    ]
    finished = command("-c", NO_TENSORFLOW.format(commands=commands))
    assert finished.returncode == 0, finished.stderr
    message = f"{small_run} is finished: 3 epochs; for more raise --epochs"
    assert finished.stdout.splitlines()[-1] == message
    assert contents(small_run) == before


def test_a_run_resumes_with_its_recorded_settings(run_copy, in_process):
    resume = ["train", "--resume", f"--run-dir={run_copy}"]
    finished = f"{run_copy} is finished: 3 epochs; for more raise --epochs\n"
    assert in_process(*resume).stdout == finished
    before = contents(run_copy)
    message = refusal(*resume, "--seed=1", "--latent-dim=50", "--epochs=4", run=in_process)
    assert "with other settings (--seed is 1, was 0; --latent-dim is 50, was 100)" in message
    _, _, printed = message.partition("resume it without --seed, --latent-dim: gan-tf ")
    *printed, more, epochs = printed.split()
    assert printed == ["train", "--resume", "--run-dir", str(run_copy)]
    assert (more, epochs) == ("--epochs", "4")
    assert "--run-dir none holds no run" in refusal(*resume[:2], "--run-dir=none", run=in_process)
    assert "not allowed with argument --resume" in refusal(*resume, "--overwrite", run=in_process)
    assert "drop --recipe" in refusal(*resume, "--recipe=homework", run=in_process)
    assert contents(run_copy) == before

    config_path = run_copy / "config.json"
    record = json.loads(config_path.read_text())
    record["environment"] |= {"tensorflow": "2.0.0", "threads": 99, "onednn": False}
    config_path.write_text(json.dumps(record))
    warning = r"bits of the results may differ: tensorflow is .*, was 2.0.0; threads is \d+, was 99"
    (run_copy / "report.html").unlink()  # so that there is something left to do
    with pytest.warns(UserWarning, match=f"{warning}; onednn is True, was False"):
        resumed = in_process(*printed, "--quiet")
    assert (resumed.returncode, resumed.stdout, resumed.stderr) == (0, "", "")
    config, environment = RunDir(run_copy).read_config()
    assert (config.epochs, config.batch_size, config.dataset) == (3, 16, "synthetic")
    assert environment == record["environment"]
    assert in_process(*printed, "--quiet").stdout == ""
    assert in_process(*printed).stdout == finished


def test_ctrl_c_before_the_first_step_says_what_is_saved(
    run_copy, tmp_path, in_process, monkeypatch
):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("gan_tf.data.load_images", interrupt)
    new = tmp_path / "new"
    for folder, saved in [(run_copy, "the run resumes from step 15"), (new, "nothing was saved")]:
        stopped = in_process(*small(folder, "--epochs=4"))
        assert (stopped.returncode, stopped.stderr) == (130, f"interrupted: {saved}\n")
    assert not new.exists()


def test_a_recipe_sets_what_is_not_given(small_run, in_process):
    best = [*small(small_run), "--recipe=best"]
    message = refusal(*best, run=in_process)
    for changed in ["--learning-rate is 0.0002, was 0.0001", "--beta-1 is 0.5", "--ema-decay"]:
        assert changed in message
    as_before = in_process(*best, "--learning-rate=1e-4", "--beta-1=0.9", "--ema-decay=0")
    assert as_before.stdout == f"{small_run} is finished: 3 epochs; for more raise --epochs\n"


def test_help_shows_every_setting_with_its_default(in_process, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    shown = in_process("--help", script="train").stdout
    for field in dataclasses.fields(gan_tf.TrainConfig):
        name, default = field.name.replace("_", "-"), field.default
        description = shown.partition(f"  --{name}")[2].partition("  --")[0]
        assert field.metadata["help"] in " ".join(description.split())
        if isinstance(default, bool):
            assert f", --no-{name}" in description
            default = "on" if default else "off"
        elif isinstance(default, tuple):
            default = " ".join(map(str, default))
        assert default is None or f"(default: {default})" in description


def test_the_console_command_the_module_and_the_scripts_are_the_same(in_process, tmp_path):
    help_text = command("-m", "gan_tf", "--help").stdout
    for name in ["train", "gif", "draw", "sample", "minimax", "benchmark"]:
        assert name in help_text
    assert in_process("--help").stdout == in_process().stdout == help_text
    assert in_process("--version").stdout == f"gan_tf {gan_tf.__version__}\n"
    message = refusal("train.py", f"--run-dir={tmp_path / 'run'}", "--batch-size=0")
    assert message == "train.py: error: --batch-size must be a whole number, 1 or more, not 0\n"
    assert contents(tmp_path) == {}


MISTAKES = {  # in a folder with a run; the message of each
    "sample --run-dir=none": "--run-dir none holds no run",
    "gif --run-dir=none": "none/samples holds no epoch_*.png yet",
    "draw --run-dir=run --epochs 1 10": "--epochs: run/samples holds no grid",
    "sample --training-noise --seed=0": "--training-noise has images of its own: drop --seed\n",
    "sample --count=1000000000000": "--count must be a whole number, from 1 to 1000000",
    "sample --epoch=foo": "argument --epoch: must be a whole number, not 'foo'",
    "sample --pretrained --run-dir=run": "--run-dir: not allowed with argument --pretrained",
    "sample --pretrained --epoch=30": "--pretrained has an epoch of its own: drop --epoch",
    "interpolate --pretrained --from=-1": "--from and --to must be a whole number",
    "sample --output=new": "--output new must end in .png or .npy",
    "sample --output=a.npy --format=png": "--output a.npy must end in .png",
    "gif --output=a.png": "--output a.png must end in .gif",
    "gif --output=run": "run is a folder: name a file to write",
    "train --run-dir=new --dataset=synthetic --batch-size=6001": "--batch-size 6001 is larger than",
    "train --run-dir=new --dataset=cifar10": "--dataset cifar10",
    "train --run-dir=new --batch-size=1.5": "--batch-size: must be a whole number, not '1.5'",
    "train --run-dir=new --learning-rate=fast": "--learning-rate: must be a number such as 0.05 or",
    "train --epoch=5": "unrecognized arguments: --epoch=5 (did you mean --epochs?)",
    "sample --lr=5": "unrecognized arguments: --lr=5 (--help lists all flags)",
    "trian": "argument COMMAND: invalid choice: 'trian'",
    "report --run-dir=run --output=run/history.csv": "is a file of the run in",
    "report --output=run/.gan_tf.lock": "is a file of the run in",
    "gif --run-dir=run --output=link.gif": "is a file of the run in",
    "sample --output=run/samples/epoch_0009.png": "is a file of the run in",
    "export --format=saved-model --output=run/config": "run/config.json is a file of",
    "minimax --output-dir=": "is empty: is a shell variable unset?",
    "minimax --output-dir=link.gif": "run/history.csv is not a folder",
    "minimax --steps 0": "--steps",
    "minimax --game 1 0 0": "--game",
    "minimax --game -1 1 0": "--game",
    **{f"minimax --start {start}": "--start" for start in ("nan 0", "0 -inf", "1e-200 0")},
    **{f"minimax --step-x {size}": "--step-x" for size in ("0", "-1", "nan", "-inf")},
    "minimax --step-y 1/0": "--step-y: must be a number such as 0.05 or 1/16, not '1/0'",
}


@pytest.mark.parametrize("arguments", MISTAKES)
def test_a_mistake_is_refused_in_one_line_and_nothing_is_written(
    small_run, tmp_path, in_process, monkeypatch, arguments
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(small_run, "run", ignore=shutil.ignore_patterns("*.data-*"))
    Path("link.gif").symlink_to("run/history.csv")
    before = contents(tmp_path)
    assert MISTAKES[arguments] in refusal(*arguments.split(), run=in_process)
    assert contents(tmp_path) == before


def test_draw_says_what_it_drew(run_copy, in_process):
    run = RunDir(run_copy)
    before = contents(run_copy)
    run.epochs_path.unlink()
    run.loss_curves_path.unlink()
    finished = in_process("draw", f"--run-dir={run_copy}")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout == f"{run.loss_curves_path}\n{run.epochs_path}\n"
    assert contents(run_copy) == before
    in_process("draw", f"--run-dir={run_copy}", "--epochs", "1")
    assert images.read_png(run.epochs_path).shape == (390, 2 * 366 + images.PANEL_GAP)


def test_a_log_file_gets_one_line_per_epoch_and_what_to_look_at(small_run):
    """The small run was started without a terminal, and said nothing on standard error."""
    lines = small_run.with_name("small.stdout").read_text(encoding="utf-8").splitlines()
    epochs = [line[:9] for line in lines if line.startswith("epoch")]
    assert epochs == ["epoch  1/", "epoch  2/", "epoch  3/"]
    run = RunDir(small_run)
    made = [f"{run.path} is complete:", f"  {run.report_path}", f"  {run.gif_path}"]
    assert lines[-3:] == made and run.report_path.exists() and run.gif_path.exists()


def test_minimax_prints_the_answers_and_plots_them(tmp_path, in_process):
    """In a folder of its own, because `minimax/` is where the figures go by default."""
    flags = ["minimax", "--step-x=0.0625", "--step-y", "1e-100", "--start", "-1e-3", "-.5E0"]
    finished = in_process(*flags, f"--output-dir={tmp_path}")
    assert finished.returncode == 0 and finished.stderr == ""
    for part in ["(a)", "(b)", "(c)", "(d)", "from (-0.001, -0.5) the players are at", "0.0625"]:
        assert part in finished.stdout
    written = sorted(tmp_path.iterdir())
    assert all(f"  {path}\n" in finished.stdout for path in written)
    assert "<h2>Part 1" in written.pop(0).read_text(encoding="utf-8")
    names = ["convergence", "paths", "rotation", "step_sizes", "surface"]
    assert [path.name for path in written] == [f"minimax_{name}.png" for name in names]
    for path in written:
        image = iio.imread(path)
        assert image.shape[1] >= 1200  # sharp at 800 px, and on a dense screen
        assert np.ptp(image[..., :3]) == 255


def test_minimax_prints_one_json_object_and_writes_nothing_unasked(
    tmp_path, in_process, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    game = ["minimax", "--json", "--game", "0", "0", "1"]
    found = json.loads(in_process(*game).stdout)
    assert found["hessian_eigenvalues"] == [-1, 1]
    assert found["rates"]["simultaneous"]["predicted"] == pytest.approx((1 + 1 / 256) ** 0.5)
    for sizes in [["--step-x", "1/16"], ["--step-x", "0.0625", "--step-y", "1/16"]]:
        assert json.loads(in_process(*game, *sizes).stdout) == found
    assert contents(tmp_path) == {}


def test_a_closed_standard_error_spoils_no_file(tmp_path, small_run):
    """Else the first file that is opened would take its number, and get what goes there."""
    if shutil.which("sh") is None:
        pytest.skip("needs a shell")
    made = tmp_path / "film.gif"
    arguments = [sys.executable, "make_gif.py", f"--run-dir={small_run}", f"--output={made}"]
    shown = subprocess.check_output(["sh", "-c", '"$@" 2>&-', "sh", *arguments], cwd=ROOT)
    assert shown.decode().startswith(f"{made}: 3 frames of 366 x 390 pixels, 2.4 s, ")
    assert made.read_bytes() == (small_run / "training.gif").read_bytes()


def test_the_package_has_its_public_names_and_offers_them():
    assert dir(gan_tf) == sorted(gan_tf.__all__)
    for name in {*gan_tf.__all__} - {"__version__"}:
        assert getattr(gan_tf, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = gan_tf.nothing


HOST = """
import os, sys, warnings
before = warnings.formatwarning, {**os.environ}
from gan_tf.cli import main
run_dir, output = sys.argv[1:]
codes = main(["draw", run_dir]), main(["sample", run_dir, output])
import matplotlib
logs = os.environ.pop("TF_CPP_MIN_LOG_LEVEL")  # read when TensorFlow is imported, and never again
print(codes, before == (warnings.formatwarning, {**os.environ}), matplotlib.get_backend(), logs)
"""


def test_a_command_within_another_program_leaves_it_as_it_was(
    run_copy, small_run, tmp_path, monkeypatch
):
    """Nor does a setting that is meant for other programs change or end the command."""
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nsavefig.dpi: 2000\n")
    (tmp_path / ".keras").mkdir()
    keras_json = '{"floatx": "float64", "image_data_format": "channels_first", "backend": "jax"}'
    (tmp_path / ".keras" / "keras.json").write_text(keras_json)
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    finished = command(
        *["-c", HOST, f"--run-dir={run_copy}", f"--output={tmp_path / 'samples.npy'}"],
        MPLBACKEND="svg",
        MATPLOTLIBRC=str(tmp_path / "matplotlibrc"),
        TQDM_MININTERVAL="often",
        KERAS_BACKEND="jax",
        TF_USE_LEGACY_KERAS="1",
        XLA_FLAGS="--of_another_build=1",
        TF_XLA_FLAGS="--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit",
        HOME=str(tmp_path),
    )
    assert finished.stderr == ""
    assert finished.stdout.splitlines()[-1] == "(0, 0) True svg 3"
    assert contents(run_copy) == contents(small_run)
    samples = gan_tf.load_snapshot(small_run).sample()
    np.testing.assert_array_equal(np.load(tmp_path / "samples.npy"), samples)


@pytest.mark.skipif(sys.platform != "linux", reason="tried on Linux only")
def test_without_a_folder_for_temporary_files_help_works_and_work_is_refused(tmp_path):
    def run(*arguments):
        return subprocess.run(
            [sys.executable, ROOT / "train.py", *arguments],
            cwd="/",
            env={**os.environ, "TMPDIR": ""},
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
        )

    import resource

    assert "--batch-size" in run("--help").stdout
    message = refusal(f"--run-dir={tmp_path / 'run'}", *SMALL, run=run)
    assert "free space on the disk, or set the environment variable TMPDIR" in message
    assert contents(tmp_path) == {}


def test_a_lost_history_is_reported_as_lost(run_copy, in_process):
    (run_copy / "history.csv").unlink()
    message = refusal("report", "--text", "--run-dir", run_copy, run=in_process)
    assert "history.csv is missing or empty: restore it from a backup" in message
