import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from helpers import contents

from gan_tf import UserError, export_generator, load_pretrained, load_snapshot
from gan_tf.export import note_path
from gan_tf.run import images

# A program without gan_tf, which reads noise and writes images.
READER = """
import sys
import numpy as np
sys.modules["gan_tf"] = None  # any import of it fails
import tensorflow as tf
folder = sys.argv[1]
noise = np.load(folder + "/noise.npy")
model = tf.keras.models.load_model(folder + "/g.keras", safe_mode=True)
loaded = tf.saved_model.load(folder + "/g")
np.save(folder + "/of_keras.npy", model(noise))
np.save(folder + "/of_saved_model.npy", loaded.serve(noise))
"""


without_tf2onnx = pytest.mark.skipif(
    importlib.util.find_spec("tf2onnx") is not None, reason="tf2onnx is installed"
)


@pytest.fixture(scope="module")
def snapshot(small_run):
    return load_snapshot(small_run, epoch=2)


@pytest.mark.campaign
def test_onnx_generates_the_same_images(snapshot, tmp_path):
    pytest.importorskip("tf2onnx", reason="ONNX is optional: pip install tf2onnx onnxruntime")
    runtime = pytest.importorskip("onnxruntime")
    path = export_generator(snapshot, tmp_path / "g.onnx", "onnx")
    session = runtime.InferenceSession(path)
    noise = snapshot.fixed_noise.numpy()
    (samples,) = session.run(None, {session.get_inputs()[0].name: noise})
    np.testing.assert_allclose(samples, snapshot.sample_training_noise(), atol=1e-5)


def difference(samples, others):
    """Returns the largest difference between images in [-1, 1], in 255 grey levels."""
    return np.abs(images.to_uint8(samples).astype(int) - images.to_uint8(others)).max()


def test_arrays_generate_the_images_of_their_run_within_one_grey_level(
    small_run, snapshot, tmp_path
):
    path = export_generator(snapshot, tmp_path / "small.npz", "npz")
    alone = load_pretrained(path)
    samples = alone.sample(300, seed=4)
    assert difference(samples, snapshot.sample(300, seed=4)) <= 1
    assert difference(alone.sample_training_noise(), snapshot.sample_training_noise()) <= 1
    assert difference(samples, load_snapshot(small_run, epoch=3).sample(300, seed=4)) > 1
    assert alone.config == snapshot.config and alone.epoch == 2
    os.replace(note_path(path), path.with_suffix(".json"))  # its name in version 2.0
    np.testing.assert_array_equal(load_pretrained(path).sample(300, seed=4), samples)


def test_exports_of_the_command_have_notes_and_other_programs_load_them(
    small_run, snapshot, tmp_path, in_process
):
    of_run = json.loads((small_run / "config.json").read_text())
    folder = tmp_path / "new"
    for name, flags in {"g.npz": [], "g.keras": [], "g": ["--format=saved-model"]}.items():
        path = folder / name
        arguments = ["export", "--epoch=2", f"--run-dir={small_run}", f"--output={path}", *flags]
        for _ in range(2 if name == "g.npz" else 1):  # a file may be exported again
            finished = in_process(*arguments)
            assert (finished.returncode, finished.stderr) == (0, "")
            assert finished.stdout == f"{path}: the generator of epoch 2\n"
        note = json.loads(note_path(path).read_text())
        assert (note["epoch"], note["config"]) == (2, of_run["config"])
        assert note["environment"] == of_run["environment"]
        hashes = note["sha256"]
        files = {path: hashes} if path.is_file() else {path / file: hashes[file] for file in hashes}
        assert len(files) >= (1 if path.is_file() else 4)
        for file, expected in files.items():
            assert hashlib.sha256(file.read_bytes()).hexdigest() == expected
    assert {path.name for path in folder.iterdir()} == {
        *("g.npz", "g.keras", "g", "g.npz.json", "g.keras.json", "g.json")
    }

    np.save(folder / "noise.npy", snapshot.fixed_noise.numpy(), allow_pickle=False)
    arguments = [sys.executable, "-c", READER, folder]
    finished = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    for name in "of_keras.npy", "of_saved_model.npy":
        samples = np.load(folder / name, allow_pickle=False)
        np.testing.assert_allclose(samples, snapshot.sample_training_noise(), atol=1e-5)


def test_a_keras_file_holds_only_what_the_first_keras_3_knows(snapshot, tmp_path):
    """Keras refuses arguments that it does not know; tried with 3.3, 3.5, 3.8, 3.10, 3.12, 3.14."""
    with zipfile.ZipFile(export_generator(snapshot, tmp_path / "g.keras")) as archive:
        layers = json.loads(archive.read("config.json"))["config"]["layers"]
    known = (
        "activation batch_shape data_format dilation_rate dtype filters kernel_size name padding"
        " ragged sparse strides target_shape trainable units use_bias"
    )
    assert {name for layer in layers for name in layer["config"]} <= {*known.split()}


@pytest.mark.parametrize(
    "name, format, message",
    [
        ("g.json", "npz", "`output` .*g.json must end in .npz"),
        ("g.npz", "keras", "must end in .keras"),
        ("g.pb", None, "must end in .keras, .npz, .onnx, or give a `format`"),
        ("taken", "saved-model", "taken exists: choose a new folder"),
        ("g.pb", "tensorrt", "`format` must be one of keras, saved-model, npz, onnx"),
        ("a[b]", "saved-model", "pattern"),
        ("mine.npz", None, "mine.npz.json exists, and is not of an export: choose another"),
        ("mine.keras", None, "mine.keras exists, and is not of an export: choose another"),
        ("folder.npz", None, "folder.npz.json is a folder"),
        ("s" * 214, "saved-model", "more than 215 bytes"),
        pytest.param("g.onnx", None, "pip install tf2onnx", marks=without_tf2onnx),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(
    snapshot, tmp_path, name, format, message
):
    (tmp_path / "taken").mkdir()
    (tmp_path / "folder.npz.json").mkdir()
    (tmp_path / "mine.npz.json").write_text('{"mine": 1}')
    (tmp_path / "mine.keras").write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(UserError, match=message):
        export_generator(snapshot, tmp_path / name, format)
    assert contents(tmp_path) == before
