import json
import os
import re
import sys

import ladder
import numpy as np
import pytest
from helpers import EVALUATED_COUNT as COUNT
from helpers import refusal

from gan_tf import UserError, data, load_snapshot
from gan_tf.evaluation import evaluate, metrics
from gan_tf.evaluation.variety import variety
from gan_tf.run.rundir import RunDir


def test_every_figure_is_what_it_says(small_run, data_dir, references, in_process, tmp_path):
    """Computes each one by its definition from the images, the classifier and `metrics`."""
    snapshot = load_snapshot(small_run, epoch=2)
    images, classifier = snapshot.sample(COUNT, seed=3), references.classifier
    features, labels = classifier(images)
    real_features, real_labels = references.test_features, references.test_labels
    train_features = references.train_features
    chosen = train_features[np.random.default_rng(3).permutation(len(train_features))[:COUNT]]
    shares = [np.mean(labels == index) for index in range(6)]
    real_shares = [np.mean(real_labels == index) for index in range(6)]
    kid, error = metrics.kernel_distance(features, real_features)
    density, coverage = metrics.density_and_coverage(real_features, features)
    density_floor, coverage_floor = metrics.density_and_coverage(real_features, chosen)
    strange = metrics.strangeness(features, train_features)
    claimed = np.quantile(metrics.strangeness(real_features, train_features), 0.99)
    distances, test_distances = (
        metrics.nearest(values, train_features)[0][:, 0] for values in (features, real_features)
    )
    score = metrics.copying_score(distances, labels, test_distances, real_labels)
    expected = {
        "epoch": 2,
        "classifier": classifier.id,
        "images": COUNT,
        "fcd": metrics.frechet_distance(features, real_features),
        "kid": kid,
        "kid_std_error": error,
        "density": density,
        "coverage": coverage,
        "fcd_floor": metrics.frechet_distance(chosen, real_features),
        "kid_floor": metrics.kernel_distance(chosen, real_features)[0],
        "density_floor": density_floor,
        "coverage_floor": coverage_floor,
        "class_names": classifier.class_names,
        "class_shares": shares,
        "class_distance": sum(max(0, a - b) for a, b in zip(shares, real_shares)),
        "smallest_share": min(shares),
        "unclaimed_share": np.mean(strange > claimed),
        "memorised": score < -3,
        "memorisation_score": score,
        "variety": RunDir(small_run).read_history()[1]["variety"],
        "variety_floor": variety(data.scaled(references.test_images[:256])),
    }
    flags = ["--seed=3", "--data-dir", data_dir, "--json"]
    source = ["--run-dir", small_run, "--epoch=2", f"--count={COUNT}"]
    finished = in_process("evaluate", *source, *flags)
    assert (finished.returncode, finished.stderr) == (0, "")
    result = json.loads(finished.stdout)
    assert result.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, (str, list)) and name != "class_shares":
            assert result[name] == value
        else:
            assert result[name] == pytest.approx(value, rel=1e-5, abs=1e-9), name
    assert result["kid_std_error"] > 0
    text = evaluate.as_text(result)
    assert text.startswith(f"{COUNT} images after epoch 2, classifier {classifier.id}\n")
    for name in ["fcd", "kid", "density", "coverage", "variety"]:
        (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        assert line.split()[1:3] == [f"{result[key]:.4f}" for key in (name, f"{name}_floor")]
    assert f"standard error {error:.4f}" in text
    assert [line.split()[-2] for line in text.splitlines()[-6:]] == [
        f"{100 * share:.1f}" for share in shares
    ]

    np.save(tmp_path / "images.npy", images)
    source = ["--images", tmp_path / "images.npy", "--dataset=synthetic"]
    of_file = json.loads(in_process("evaluate", *source, *flags).stdout)
    del result["epoch"], result["variety"], of_file["variety"]  # a run uses other images there
    assert of_file == result


def test_evaluate_of_the_pretrained_generator(prepared, in_process, monkeypatch):
    monkeypatch.setattr(evaluate, "MIN_COUNT", 100)
    arguments = ["evaluate", "--pretrained", "--count=100", f"--data-dir={prepared[0]}"]
    result = json.loads(in_process(*arguments, "--json").stdout)
    assert (result["epoch"], result["images"]) == (50, 100)
    assert result["classifier"] == "fashion_mnist-f13183bf"


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--pretrained", "--all-epochs"], "--all-epochs"),
        (["--pretrained", "--count", "10"], "--count must be a whole number, from 1000 to 1000000"),
        (["--pretrained", "--seed=-1"], "--seed must be a whole number"),
        (["--images", "images.npy", "--count", "0"], "--images samples none: drop --count$"),
        (["--images", "missing.npy"], "--images missing.npy: there is no such file"),
        (["--images", "images.npy", "--no-averaged"], "drop .*--no-averaged"),
        (["--images", "images.npy", "--seed=4294967296"], "--seed must be a whole number"),
        (["--images", "images.npy", "--dataset", ""], "--dataset must be a name or a folder"),
        (["--images", "images.npy", "--dataset", "."], "--dataset . has no test split"),
        (["--pretrained", "--dataset", "mnist"], "drop --dataset"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(in_process, tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    np.save("images.npy", np.full([1000, 28, 28], 9, np.uint8))
    assert re.search(message, refusal("evaluate", *flags, run=in_process))


def test_images_are_read_in_any_of_their_forms(tmp_path):
    levels = np.random.default_rng(0).integers(0, 256, [1000, 28, 28], np.uint8)
    floats = levels / 127.5 - 1
    for array in [levels, levels[..., None], floats, floats[..., None].astype(np.float32)]:
        np.save(tmp_path / "images.npy", array)
        np.savez(tmp_path / "images.npz", images=array)
        for name in ["images.npy", "images.npz"]:
            images = evaluate.read_images(tmp_path / name)
            assert images.shape == (1000, 28, 28, 1) and images.dtype == np.float32
            np.testing.assert_allclose(images[..., 0], floats, atol=1e-6)


@pytest.mark.parametrize(
    "array, message",
    [
        (np.zeros([1000, 28, 28, 3], np.uint8), r"uint8 of shape \[1000, 28, 28, 3\], but"),
        (np.zeros([999, 28, 28], np.uint8), "contains 999 images, and needs 1000 or more"),
        (np.zeros([1000, 28, 28], np.int64), "int64 of shape"),
        (np.ones([1000, 28, 28], np.uint8), r"from 1 to 1, but must be uint8 in \[0, 255\]"),
        (np.full([1000, 28, 28], 255.0), "from 255 to 255"),
        (np.full([1000, 28, 28], 0.5), r"from 0.5 to 0.5, .* or float in \[-1, 1\] with black"),
        (np.full([1000, 28, 28], np.nan), "contains NaN"),
        (np.array([[None]]), "not one NumPy array"),
    ],
)
def test_images_that_cannot_be_measured_are_refused(tmp_path, array, message):
    np.save(tmp_path / "images.npy", array)
    with pytest.raises(UserError, match=f"`images` .*{message}"):
        evaluate.read_images(tmp_path / "images.npy")


@pytest.mark.skipif(sys.platform == "win32", reason="makes a pipe")
def test_what_is_not_one_array_is_refused(tmp_path):
    (tmp_path / "text.npy").write_text("no images")
    (tmp_path / "zip.npy").write_bytes(b"PK\3\4 something else")
    (tmp_path / "deep.npy").write_bytes(b"\x93NUMPY\1\0\0\x80" + b"(" * 0x8000)
    np.savez(tmp_path / "two.npz", a=np.zeros(3), b=np.zeros(3))
    os.mkfifo(tmp_path / "pipe.npy")
    for name in ["text.npy", "zip.npy", "deep.npy", "two.npz", "pipe.npy", "."]:
        with pytest.raises(UserError, match=f"`images` .*{name} is not one NumPy array"):
            evaluate.read_images(tmp_path / name)


@pytest.mark.real_data
@pytest.mark.campaign
def test_bad_images_have_the_scores_that_their_faults_imply(real_references):
    """With fewer images than in docs/evaluation.md, to save time."""
    results = ladder.measure(real_references, 4000)

    real = results["training images"]
    assert real["fcd"] < 2 * real["fcd_floor"]
    assert abs(real["kid"]) < 4 * real["kid_std_error"]
    for measure in ["fcd", "kid"]:  # both rise with the noise
        values = [abs(real[measure])]
        values += [results[f"noise of {levels} grey levels"][measure] for levels in (16, 32, 64)]
        assert all(1.5 * low < high for low, high in zip(values, values[1:])), (measure, values)

    blurred = results["blurred by 1 pixel"]
    assert blurred["fcd"] > 10 * blurred["fcd_floor"]
    assert blurred["density"] < blurred["density_floor"]

    without_class = results["no sandals"]
    assert without_class["class_shares"][without_class["class_names"].index("Sandal")] == 0
    assert without_class["smallest_share"] == 0
    assert without_class["class_distance"] == pytest.approx(0.1, abs=0.02)
    assert without_class["fcd"] > 5 * without_class["fcd_floor"]

    collapsed = results["ten images, 1,000 times each"]
    assert collapsed["coverage"] < 0.02 < 0.75 < collapsed["coverage_floor"]

    assert real["memorised"] and results["half of them training images"]["memorised"]
    assert not results["test images"]["memorised"]

    assert results["test images"]["unclaimed_share"] == pytest.approx(0.01, abs=5e-3)
    assert results["the right half missing"]["unclaimed_share"] > 0.2
    assert results["nothing but noise"]["unclaimed_share"] > 0.8
