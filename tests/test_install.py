"""What pip installs is the whole package."""

import shutil
from importlib.metadata import distributions

from helpers import ROOT, command, contents

import gan_tf


def test_an_installed_copy_is_whole_and_has_the_command_gan_tf(tmp_path, monkeypatch):
    source, installed = tmp_path / "source", tmp_path / "installed"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "gan_tf", source / "gan_tf", ignore=ignored)
    for name in ["setup.cfg", "pyproject.toml", "README.md", "LICENSE"]:
        shutil.copy(ROOT / name, source)
    # Without build isolation, as pip would fetch setuptools from the network.
    flags = ["--no-deps", "--no-build-isolation", "--no-index", "--target", installed]
    finished = command("-m", "pip", "install", "--quiet", *flags, source)
    assert finished.returncode == 0, finished.stderr
    assert contents(source / "gan_tf").keys() <= contents(installed / "gan_tf").keys()
    (metadata,) = distributions(path=[str(installed)])
    assert metadata.version == gan_tf.__version__

    # In a folder of its own, where it can find nothing of the checkout.
    script = shutil.which("gan-tf", path=str(installed / "bin"))
    shown = command(script, "--version", cwd=tmp_path, PYTHONPATH=str(installed))
    assert (shown.stdout, shown.stderr) == (f"gan_tf {gan_tf.__version__}\n", "")

    # TensorFlow prints none of its own lines.
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    program = "import gan_tf; print(gan_tf.load_pretrained().sample(2).shape)"
    sampled = command("-c", program, cwd=tmp_path, PYTHONPATH=str(installed))
    assert (sampled.stdout, sampled.stderr) == ("(2, 28, 28, 1)\n", "")
