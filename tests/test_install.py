"""What pip installs is the whole package."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import distributions

import pytest
from helpers import ROOT, command, contents

import gan_tf
from gan_tf.run import images


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with an installed copy of the package, without what it depends on."""
    copy = tmp_path_factory.mktemp("source")
    for name in ["setup.cfg", "pyproject.toml", "README.md", "LICENSE"]:
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "gan_tf", copy / "gan_tf", ignore=shutil.ignore_patterns("__pycache__"))
    folder = tmp_path_factory.mktemp("installed")
    # Without build isolation, as pip would fetch setuptools from the network.
    flags = ["--no-deps", "--no-build-isolation", "--no-index", "--target", folder]
    finished = command("-m", "pip", "install", "--quiet", *flags, copy)
    assert finished.returncode == 0, finished.stderr
    return folder


def test_an_installed_copy_has_every_file_of_the_package(installed):
    for name in contents(ROOT / "gan_tf"):
        if "__pycache__" not in name.parts:
            assert (installed / "gan_tf" / name).exists(), name
    (metadata,) = distributions(path=[str(installed)])
    assert metadata.version == gan_tf.__version__


@pytest.mark.campaign
def test_an_installed_copy_draws_by_the_command_gan_tf(installed, tmp_path):
    """In a folder of its own, where it can find nothing of the checkout."""
    script = shutil.which("gan-tf", path=str(installed / "bin"))
    assert script is not None
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    finished = subprocess.run(
        [sys.executable, script, "sample", "--pretrained", "--count=4"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout == "samples.png: 4 images from epoch 50 of the pretrained run\n"
    assert images.read_png(tmp_path / "samples.png").std() > 50
    assert [path.name for path in tmp_path.iterdir()] == ["samples.png"]
