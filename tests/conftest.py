"""Options of the test suite, and shared fixtures."""

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import (
    EVALUATED,
    NO_NETWORK,
    PREPARED_IMAGES,
    Launcher,
    command,
    prepare,
    small,
    without_xla_lines,
)

from gan_tf import cli

# As the command does before it imports TensorFlow, so that its messages do not mix with output.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def pytest_addoption(parser):
    parser.addoption("--manual-dir", help="folder of the original Fashion-MNIST files")
    parser.addoption("--campaign", action="store_true", help="run the long tests too")
    parser.addoption(
        "--seed", type=int, help="of the tests' random choices (or GAN_TF_TEST_SEED; else drawn)"
    )


@pytest.hookimpl(tryfirst=True)  # before Hypothesis, which reads its option when it is configured
def pytest_configure(config):
    # A shell that starts a program in the background makes it, and what it starts, ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.option.seed is None:
        config.option.seed = int(os.environ.get("GAN_TF_TEST_SEED", random.randrange(10**6)))
    if getattr(config.option, "hypothesis_seed", "") is None:
        config.option.hypothesis_seed = str(config.option.seed)


def pytest_report_header(config):
    return f"random choices: repeat them with --seed {config.option.seed}"


def pytest_collection_modifyitems(config, items):
    if not config.option.campaign:
        for item in items:
            if "campaign" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="part of the long campaign: --campaign"))


@pytest.fixture
def random_choices(request):
    """Returns a `random.Random` for one test, which depends on --seed and the test's name only."""
    return random.Random(f"{request.config.option.seed} {request.node.nodeid}")


@pytest.fixture(scope="session")
def manual_dir(request):
    folder = request.config.option.manual_dir
    if folder is None:
        pytest.skip("needs --manual-dir with the original Fashion-MNIST files")
    return Path(folder).resolve()


@pytest.fixture(scope="session")
def real_data_dir(manual_dir, tmp_path_factory):
    """Returns a data folder in which TFDS has prepared the original files without a network."""
    from gan_tf import TrainConfig
    from gan_tf.data import load_images

    folder = tmp_path_factory.mktemp("real data")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in NO_NETWORK.items():
            patch.setenv(name, value)
        load_images(TrainConfig(data_dir=folder, manual_dir=manual_dir))
    return folder


@pytest.fixture(scope="session")
def real_references(real_data_dir):
    from gan_tf import TrainConfig
    from gan_tf.evaluation.evaluate import load_references

    return load_references(TrainConfig(data_dir=real_data_dir))


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """Returns the folder of a run of three epochs by the command; tests must not change it."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    finished = command("train.py", *small(folder)[1:])
    assert (finished.returncode, finished.stderr) == (0, "")
    folder.with_name("small.stdout").write_text(finished.stdout, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def _evaluated_data(tmp_path_factory):
    """A data folder with a classifier of few synthetic images, and the references."""
    from gan_tf import TrainConfig
    from gan_tf.data.classifier import classifier_path, train_classifier
    from gan_tf.evaluation.evaluate import load_references

    config = TrainConfig(dataset="synthetic", data_dir=tmp_path_factory.mktemp("data"))
    with pytest.MonkeyPatch.context() as patch:
        for name, number in EVALUATED.items():
            patch.setattr(name, number)
        train_classifier(config, classifier_path(config), epochs=3)
        return config.data_dir, load_references(config)


@pytest.fixture
def data_dir(_evaluated_data, monkeypatch):
    """A data folder with a classifier of few synthetic images, all that there are here."""
    for name, number in EVALUATED.items():
        monkeypatch.setattr(name, number)
    return _evaluated_data[0]


@pytest.fixture(scope="session")
def references(_evaluated_data):
    return _evaluated_data[1]


@pytest.fixture
def in_process(capfd):
    """Runs `gan-tf ...` within this process, and returns the same as `command`."""

    def run(*arguments, script=None):
        capfd.readouterr()
        try:
            code = cli.main([str(argument) for argument in arguments], script)
        except SystemExit as stopped:
            code = stopped.code
        output, errors = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, code, output, without_xla_lines(errors))

    return run


@pytest.fixture
def run_copy(small_run, tmp_path):
    """Returns a copy of the small run: finished, with the checkpoints of steps 10 and 15."""
    return Path(shutil.copytree(small_run, tmp_path / "run"))


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Returns a data folder with a small data set under the name fashion_mnist, and its images."""
    images = np.random.default_rng(0).integers(0, 256, [PREPARED_IMAGES, 28, 28, 1], np.uint8)
    folder = tmp_path_factory.mktemp("Daten für März")
    prepare(folder, images)
    return folder, images


@pytest.fixture(scope="session")
def _launcher(tmp_path_factory):
    if sys.platform != "linux":
        pytest.skip("forks a process that has imported TensorFlow, which was tried on Linux only")
    launcher = Launcher(tmp_path_factory.mktemp("launcher"))
    yield launcher
    launcher.close()


@pytest.fixture
def launcher(_launcher):
    yield _launcher
    _launcher.end()
