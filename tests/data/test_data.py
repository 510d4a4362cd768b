import concurrent.futures
import http.server
import json
import queue
import shutil

import numpy as np
import portalocker
import pytest
from helpers import NO_NETWORK, contents, cut_short, flip_a_bit, prepare, refusal, remove, truncate

from gan_tf import TrainConfig, UserError
from gan_tf.data import batches, class_names, load_images, load_labelled
from gan_tf.data.synthetic import synthetic_images
from gan_tf.system import console

COUNT = 130


def numbered_images():
    """Image number i holds the byte i in every pixel."""
    return np.arange(COUNT, dtype=np.uint8)[:, None, None, None] * np.ones([1, 28, 28, 1], np.uint8)


def numbers(epoch_batches):
    return [
        np.rint(batch[:, 0, 0, 0] * 127.5 + 127.5).astype(int).tolist() for batch in epoch_batches
    ]


def test_an_epoch_sees_every_image_once_and_can_be_resumed_after_any_batch():
    images = numbered_images()
    epoch = numbers(batches(images, 32, seed=0, epoch=1))
    assert [len(batch) for batch in epoch] == [32, 32, 32, 32, 2]
    assert sorted(sum(epoch, [])) == list(range(COUNT))
    for first in range(6):
        assert numbers(batches(images, 32, seed=0, epoch=1, first=first)) == epoch[first:]


def test_the_order_is_a_function_of_seed_and_epoch_alone():
    images = numbered_images()
    order = numbers(batches(images, 32, seed=3, epoch=4))
    assert numbers(batches(images, 32, seed=3, epoch=5)) != order
    assert numbers(batches(images, 32, seed=4, epoch=4)) != order
    assert sum(numbers(batches(images, 10, seed=3, epoch=4)), []) == sum(order, [])


def test_pixels_are_scaled_to_the_range_of_tanh():
    (batch,) = batches(np.array([0, 51, 255], np.uint8)[:, None, None, None], 3, seed=0, epoch=0)
    assert batch.dtype == np.float32
    np.testing.assert_array_equal(np.sort(batch.ravel()), np.float32([-1, -0.6, 1]))


@pytest.fixture(scope="module")
def array_records(prepared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("array_record")
    prepare(folder, prepared[1], file_format="array_record")
    return folder


def test_every_file_format_of_tfds_is_read_in_the_order_in_which_it_is_stored(
    prepared, array_records, tmp_path
):
    prepare(tmp_path, prepared[1], shards=3)
    for split in ["train", "test"]:
        images, labels = load_labelled(TrainConfig(data_dir=prepared[0]), split)
        for folder in [array_records, tmp_path]:
            loaded = load_labelled(TrainConfig(data_dir=folder), split)
            np.testing.assert_array_equal(loaded[0], images)
            np.testing.assert_array_equal(loaded[1], labels)
            assert loaded[0].dtype == np.uint8


@pytest.mark.parametrize(
    "name, damage",
    [
        *[("*train.tfrecord*", damage) for damage in (cut_short, flip_a_bit, remove)],
        *[("*train.array_record*", damage) for damage in (cut_short, remove)],
        *[("dataset_info.json", damage) for damage in (truncate, remove)],
    ],
)
def test_damaged_prepared_data_is_named_with_the_folder_to_delete(
    prepared, array_records, tmp_path, in_process, name, damage
):
    whole = array_records if "array_record" in name else prepared[0]
    data = shutil.copytree(whole, tmp_path / "data")
    (damaged,) = data.rglob(name)
    damage(damaged)
    before = contents(tmp_path)
    flags = [f"--data-dir={data}", f"--run-dir={tmp_path / 'run'}"]
    message = refusal("train", *flags, run=in_process)
    assert f"damaged: delete {damaged.parent} and" in message
    assert contents(tmp_path) == before


def test_whole_data_is_never_called_damaged(prepared, tmp_path):
    """Data of another version, without files that are not needed, or beside a damaged version."""
    shutil.copytree(prepared[0], tmp_path, dirs_exist_ok=True)
    config = TrainConfig(data_dir=tmp_path)
    version = tmp_path / "fashion_mnist" / "3.0.1"
    (version / "features.json").unlink()
    assert len(load_images(config)) == COUNT
    info = version / "dataset_info.json"
    record = json.loads(info.read_text())
    info.write_text(json.dumps(record | {"invented later": 1}))
    with pytest.raises(UserError, match="prepared by another version of TensorFlow Datasets"):
        load_images(config)
    (tmp_path / "fashion_mnist" / "2.0.0").mkdir()
    (tmp_path / "fashion_mnist" / "2.0.0" / info.name).write_text(json.dumps(record))
    truncate(info)
    with pytest.raises(UserError, match=f"damaged: delete {version} and"):
        load_images(config)


class EmptyServer(http.server.BaseHTTPRequestHandler):
    """A server that answers, and has no files."""

    def do_HEAD(self):
        self.send_error(404)

    def log_message(self, *_):
        pass


def test_a_process_that_waits_for_another_one_reads_what_that_has_prepared(
    prepared, tmp_path, monkeypatch
):
    folder = tmp_path / "fashion_mnist"
    folder.mkdir()
    lines = queue.Queue()
    monkeypatch.setattr(console, "say", lines.put)
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), EmptyServer) as server,
        concurrent.futures.ThreadPoolExecutor() as threads,
        open(folder / ".gan_tf.lock", "w") as lock,
    ):
        portalocker.lock(lock, portalocker.LOCK_EX)
        threads.submit(server.serve_forever)
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
        try:
            loading = threads.submit(load_images, TrainConfig(data_dir=tmp_path))
            assert "waiting for another process" in lines.get(timeout=60)
            shutil.copytree(prepared[0] / "fashion_mnist", folder, dirs_exist_ok=True)
        finally:
            portalocker.unlock(lock)
            server.shutdown()
        images = loading.result(60)
    np.testing.assert_array_equal(images, load_images(TrainConfig(data_dir=prepared[0])))


@pytest.fixture
def no_network(monkeypatch):
    for name, value in NO_NETWORK.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("dataset", ["fashion_mnist", "mnist", "kmnist"])
def test_without_network_and_data_one_line_says_what_to_do(
    tmp_path, dataset, no_network, in_process
):
    flags = [f"--data-dir={tmp_path / 'data'}", f"--run-dir={tmp_path / 'run'}"]
    message = refusal("train", f"--dataset={dataset}", *flags, run=in_process)
    for part in ["train-images-idx3-ubyte.gz", "http", "--manual-dir", "--dataset synthetic"]:
        assert part in message
    message = refusal("train", *flags, f"--manual-dir={tmp_path}", run=in_process)
    assert f"into --manual-dir {tmp_path}, where they are missing" in message
    assert not (tmp_path / "run").exists()


def test_damaged_downloaded_files_are_named(tmp_path, no_network):
    damaged = tmp_path / "t10k-images-idx3-ubyte.gz"
    damaged.write_bytes(b"not what was published")
    before = contents(tmp_path)
    with pytest.raises(UserError, match=f"{damaged} is damaged .*: download it again from http"):
        load_images(TrainConfig(data_dir=tmp_path / "data", manual_dir=tmp_path))
    with pytest.raises(UserError, match="`manual_dir` .*nowhere"):
        load_images(TrainConfig(data_dir=tmp_path, manual_dir=tmp_path / "nowhere"))
    assert contents(tmp_path) == before


@pytest.mark.real_data
def test_the_original_files_are_prepared_without_network(real_data_dir):
    images = load_images(TrainConfig(data_dir=real_data_dir))  # needs the files no longer
    assert images.shape == (60_000, 28, 28, 1) and images.dtype == np.uint8
    assert images.mean() == pytest.approx(72.94035, abs=1e-5)
    assert images.std() == pytest.approx(90.02118, abs=1e-5)


@pytest.mark.parametrize(
    "dataset, message",
    [
        ("nonsense", "neither a folder .* fashion_mnist, mnist, kmnist, synthetic"),
        ("cifar10", r"images of \(32, 32, 3\), but must have 28 x 28 x 1"),
        ("array-0123", "passed from Python"),
        ("fashion_mnist:1.0.0", r"does not exist: .*, only: 3\.0\.1"),
    ],
)
def test_a_data_set_that_does_not_fit_is_refused(tmp_path, dataset, message):
    with pytest.raises(UserError, match=f"`dataset` .*{dataset}.* {message}"):
        load_images(TrainConfig(dataset=dataset, data_dir=tmp_path / "data"))
    with pytest.raises(UserError, match="no home folder for ~nobody .*`data_dir`"):
        load_images(TrainConfig(data_dir="~nobody of this name"))
    assert contents(tmp_path) == {}


def test_each_split_has_its_images_and_labels(prepared):
    folder, images = prepared
    config = TrainConfig(data_dir=folder)
    for split, expected in [("train", images), ("test", 255 - images)]:
        loaded, labels = load_labelled(config, split)
        order = [list(map(bytes, expected)).index(bytes(image)) for image in loaded]
        assert sorted(order) == list(range(COUNT))
        np.testing.assert_array_equal(labels, np.array(order) % 10)
    whole = load_labelled(config, "train")[0]
    np.testing.assert_array_equal(load_images(config), whole)
    np.testing.assert_array_equal(
        load_images(TrainConfig(data_dir=folder, max_images=64)), whole[:64]
    )
    assert class_names(config)[3] == "Dress"


def test_synthetic_images_come_from_their_seed_and_have_labels_and_a_test_split(monkeypatch):
    monkeypatch.setattr("gan_tf.data.synthetic.COUNT", 300)
    monkeypatch.setattr("gan_tf.data.synthetic.TEST_COUNT", 50)
    config = TrainConfig(dataset="synthetic", seed=4)
    train, train_labels = load_labelled(config, "train")
    test, test_labels = load_labelled(config, "test")
    few = synthetic_images(9, 4)
    assert few.shape == (9, 28, 28, 1) and few.dtype == np.uint8
    np.testing.assert_array_equal(train[:9], few)
    assert (few != synthetic_images(9, 5)).any()
    covered = (train > 0).mean(axis=(1, 2, 3))
    assert (covered > 0.1).all() and (covered < 0.8).all()  # a garment on a background
    assert not {*map(bytes, train)} & {*map(bytes, test)}
    assert set(train_labels) == set(test_labels) == set(range(len(class_names(config))))
