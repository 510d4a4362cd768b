import hashlib
import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest

from gan_tf import UserError, export_generator, load_pretrained, load_snapshot
from gan_tf.run import images

# Programs that have never heard of gan_tf: they read noise and write images.
READERS = {
    "keras": "model = tf.keras.models.load_model(path, safe_mode=True)",
    "saved-model": "loaded = tf.saved_model.load(path); model = loaded.serve",
}
READER = """
import sys
import numpy as np
sys.modules["gan_tf"] = None  # any import of it fails
import tensorflow as tf
path, folder = sys.argv[1:]
{load}
np.save(folder + "/images.npy", np.asarray(model(np.load(folder + "/noise.npy"))))
"""


@pytest.fixture(scope="module")
def snapshot(small_run):
    return load_snapshot(small_run, epoch=2)


@pytest.mark.parametrize(
    "format, name",
    [("keras", "g.keras"), pytest.param("saved-model", "g", marks=pytest.mark.campaign)],
)
def test_another_program_draws_the_same_images(snapshot, tmp_path, format, name):
    path = export_generator(snapshot, tmp_path / name, format)
    np.save(tmp_path / "noise.npy", snapshot.fixed_noise.numpy(), allow_pickle=False)
    program = READER.format(load=READERS[format])
    arguments = [sys.executable, "-c", program, path, tmp_path]
    finished = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    drawn = np.load(tmp_path / "images.npy", allow_pickle=False)
    np.testing.assert_allclose(drawn, snapshot.sample_training_noise(), atol=1e-5)


@pytest.mark.campaign
def test_onnx_draws_the_same_images(snapshot, tmp_path):
    pytest.importorskip("tf2onnx", reason="ONNX is optional: pip install tf2onnx onnxruntime")
    runtime = pytest.importorskip("onnxruntime")
    path = export_generator(snapshot, tmp_path / "g.onnx", "onnx")
    session = runtime.InferenceSession(path)
    noise = snapshot.fixed_noise.numpy()
    (drawn,) = session.run(None, {session.get_inputs()[0].name: noise})
    np.testing.assert_allclose(drawn, snapshot.sample_training_noise(), atol=1e-5)


@pytest.mark.skipif(importlib.util.find_spec("tf2onnx") is not None, reason="tf2onnx is here")
def test_without_its_package_onnx_is_refused_in_one_line(snapshot, tmp_path):
    with pytest.raises(UserError, match="pip install tf2onnx"):
        export_generator(snapshot, tmp_path / "g.onnx", "onnx")
    assert not list(tmp_path.iterdir())


def difference(samples, others):
    """The largest difference between two arrays of images in [-1, 1], in grey levels of 255."""
    return np.abs(images.to_uint8(samples).astype(int) - images.to_uint8(others)).max()


def test_arrays_draw_what_their_run_draws_within_one_grey_level(small_run, snapshot, tmp_path):
    alone = load_pretrained(export_generator(snapshot, tmp_path / "small.npz", "npz"))
    assert difference(alone.sample(300, seed=4), snapshot.sample(300, seed=4)) <= 1
    assert difference(alone.sample_training_noise(), snapshot.sample_training_noise()) <= 1
    other_epoch = load_snapshot(small_run, epoch=3).sample(300, seed=4)
    assert difference(alone.sample(300, seed=4), other_epoch) > 1
    assert alone.config == snapshot.config and alone.epoch == 2


@pytest.mark.parametrize("format, name", [("npz", "g.npz"), ("saved-model", "new/g")])
def test_an_export_says_where_it_comes_from(small_run, snapshot, tmp_path, format, name):
    path = export_generator(snapshot, tmp_path / name, format)
    record = json.loads(path.with_suffix(".json").read_text())
    of_run = json.loads((small_run / "config.json").read_text())
    assert record["config"] == of_run["config"]
    assert record["environment"] == of_run["environment"]
    assert record["epoch"] == 2
    hashes = record["sha256"]
    files = {path: hashes} if path.is_file() else {path / file: hashes[file] for file in hashes}
    assert len(files) >= (1 if path.is_file() else 4)
    for file, expected in files.items():
        assert hashlib.sha256(file.read_bytes()).hexdigest() == expected


def test_arrays_can_be_written_again_byte_for_byte(snapshot, tmp_path):
    paths = [export_generator(snapshot, tmp_path / f"{name}.npz", "npz") for name in "ab"]
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize(
    "name, format, said",
    [
        ("g.json", "npz", "`output` .*g.json must end in .npz"),
        ("g.npz", "keras", "must end in .keras"),
        ("taken", "saved-model", "taken is there already"),
        ("g.pb", "tensorrt", "`format` must be one of keras, saved-model, npz, onnx"),
        ("a[b]", "saved-model", "pattern"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(
    snapshot, tmp_path, name, format, said
):
    (tmp_path / "taken").mkdir()
    with pytest.raises(UserError, match=said):
        export_generator(snapshot, tmp_path / name, format)
    assert [path.name for path in tmp_path.rglob("*")] == ["taken"]
