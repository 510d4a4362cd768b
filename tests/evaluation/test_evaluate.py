import json

import ladder
import numpy as np
import pytest
from helpers import refusal

from gan_tf import TrainConfig, UserError
from gan_tf.evaluation import evaluate
from gan_tf.evaluation.classifier import SHIPPED, read_classifier
from gan_tf.run.rundir import RunDir

KEYS = (
    "classifier images fcd fcd_floor kid kid_std_error density coverage class_shares"
    " unclaimed_share memorised memorisation_score variety"
).split()


@pytest.mark.parametrize(
    "array, said",
    [
        (np.zeros([2000, 28, 27], np.uint8), r"shape \[2000, 28, 27\]"),
        (np.zeros([2000, 28, 28, 3], np.uint8), r"shape \[2000, 28, 28, 3\]"),
        (np.zeros([999, 28, 28], np.uint8), "1000"),
        (np.zeros([2000, 28, 28], np.int64), "int64"),
        (np.full([2000, 28, 28], 255.0), "from 255 to 255"),
        (np.full([2000, 28, 28], np.nan), r"\[-1, 1\]"),
        (np.array([[None]]), "no NumPy array"),
    ],
)
def test_images_that_cannot_be_measured_are_refused(tmp_path, array, said):
    np.save(tmp_path / "images.npy", array)
    with pytest.raises(UserError, match=f"images.*{said}"):
        evaluate.read_images(tmp_path / "images.npy")


def test_what_is_no_file_of_numpy_is_refused(tmp_path):
    (tmp_path / "text.npy").write_text("no images")
    np.savez(tmp_path / "several.npz", a=np.zeros(3), b=np.zeros(3))
    for name in ["missing.npy", "text.npy", "several.npz", "."]:
        with pytest.raises(UserError, match="`images`"):
            evaluate.read_images(tmp_path / name)


def test_images_are_read_in_any_of_their_forms(tmp_path):
    levels = np.random.default_rng(0).integers(0, 256, [1000, 28, 28], np.uint8)
    floats = levels / 127.5 - 1
    for array in [levels, levels[..., None], floats, floats[..., None].astype(np.float32)]:
        np.save(tmp_path / "images.npy", array)
        images = evaluate.read_images(tmp_path / "images.npy")
        assert images.shape == (1000, 28, 28, 1) and images.dtype == np.float32
        np.testing.assert_allclose(images[..., 0], floats, atol=1e-6)


def test_the_shipped_classifier_is_as_small_and_as_good_as_told():
    assert SHIPPED.stat().st_size < 1e6
    classifier = read_classifier(SHIPPED)
    assert classifier.test_accuracy >= 0.925
    assert len(classifier.class_names) == 10


def test_evaluate_prints_the_same_object_each_time(prepared, in_process):
    data_dir, _ = prepared
    arguments = ["evaluate", "--pretrained", "--count", "1000", "--data-dir", data_dir]
    first, second = (in_process(*arguments, "--json") for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    result = json.loads(first.stdout)
    assert set(KEYS) <= result.keys()
    assert result["images"] == 1000 and len(result["class_shares"]) == 10
    assert sum(result["class_shares"]) == pytest.approx(1)
    for measure in ["fcd", "kid", "density", "coverage", "unclaimed_share"]:
        assert measure in evaluate.as_text(result)


@pytest.mark.campaign
def test_evaluating_while_training_changes_no_bit_of_it(prepared, tmp_path, in_process):
    """The curve, the table, and the snapshot of the best epoch; the losses as without it."""
    data_dir, _ = prepared
    runs = RunDir(tmp_path / "plain"), RunDir(tmp_path / "measured")
    for run, flags in zip(runs, [[], ["--evaluate-every", "1"]]):
        training = ["train", "--epochs=2", "--batch-size=65", "--snapshot-epochs=2"]
        finished = in_process(*training, f"--data-dir={data_dir}", f"--run-dir={run.path}", *flags)
        assert finished.returncode == 0, finished.stderr
    plain, measured = (run.read_history() for run in runs)
    for row, other in zip(plain, measured, strict=True):
        for timed in ["seconds", "images_per_second"]:
            del row[timed], other[timed]
        assert row == other
    for epoch in 1, 2:
        grids = [run.sample_path(epoch).read_bytes() for run in runs]
        assert grids[0] == grids[1]
    run = runs[1]
    rows = run.read_evaluation()
    assert [row["epoch"] for row in rows] == [1, 2]
    assert "FCD" in finished.stdout
    best = min(rows, key=lambda row: row["fcd"])["epoch"]
    assert run.best_epoch() == best
    assert run.snapshot_epochs() == sorted({best, 2})
    sampled = in_process("sample", "--run-dir", run.path, "--epoch", "best")
    assert sampled.returncode == 0 and f"epoch {best}" in sampled.stdout
    assert (run.path / "quality.png").stat().st_size > 1000


def test_a_run_evaluated_afterwards_gets_its_table(prepared, run_copy, in_process):
    said = refusal("evaluate", "--run-dir", run_copy, "--epoch", "7", run=in_process)
    assert "1, 2, 3" in said
    said = refusal("evaluate", "--pretrained", "--all-epochs", run=in_process)
    assert "--all-epochs" in said
    said = refusal("evaluate", "--pretrained", "--count", "10", run=in_process)
    assert "--count" in said


@pytest.fixture(scope="module")
def results(real_data_dir):
    """What is said of each kind of bad images; fewer than in docs/evaluation.md, to save time."""
    return ladder.measure(evaluate.load_references(TrainConfig(data_dir=real_data_dir)), 4000)


@pytest.mark.real_data
@pytest.mark.campaign
def test_more_noise_is_farther_away(results):
    real = results["training images"]
    assert real["fcd"] < 2 * real["fcd_floor"]
    assert abs(real["kid"]) < 4 * real["kid_std_error"]
    for measure in ["fcd", "kid"]:
        values = [abs(real[measure])]
        values += [results[f"noise of {levels} grey levels"][measure] for levels in (16, 32, 64)]
        assert all(1.5 * low < high for low, high in zip(values, values[1:])), (measure, values)


@pytest.mark.real_data
@pytest.mark.campaign
def test_blur_is_seen(results):
    blurred = results["blurred by 1 pixel"]
    assert blurred["fcd"] > 10 * blurred["fcd_floor"]
    assert blurred["density"] < blurred["density_floor"]


@pytest.mark.real_data
@pytest.mark.campaign
def test_a_missing_class_is_seen(results):
    result = results["no sandals"]
    assert result["class_shares"][result["class_names"].index("Sandal")] == 0
    assert result["smallest_share"] == 0
    assert result["class_distance"] == pytest.approx(0.1, abs=0.02)
    assert result["fcd"] > 5 * result["fcd_floor"]


@pytest.mark.real_data
@pytest.mark.campaign
def test_collapse_is_seen(results):
    result = results["ten images, 1,000 times each"]
    assert result["coverage"] < 0.02 < 0.9 < result["coverage_floor"]


@pytest.mark.real_data
@pytest.mark.campaign
def test_copies_of_training_images_are_flagged_and_fresh_images_are_not(results):
    assert results["training images"]["memorised"]
    assert results["half of them training images"]["memorised"]
    assert not results["test images"]["memorised"]


@pytest.mark.real_data
@pytest.mark.campaign
def test_fragments_are_claimed_by_no_class(results):
    """The threshold leaves 1 % of real test images unclaimed."""
    assert results["test images"]["unclaimed_share"] == pytest.approx(0.01, abs=1e-3)
    assert results["the right half missing"]["unclaimed_share"] > 0.2
    assert results["nothing but noise"]["unclaimed_share"] > 0.8
