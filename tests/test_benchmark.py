import json

import pytest

from gan_tf import benchmark
from gan_tf.cli import main

pytestmark = pytest.mark.campaign  # it times plain Keras


@pytest.fixture(scope="module")
def result():
    """A benchmark in small: one batch size, two rounds of single steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, "BATCH_SIZES", (16,))
        patch.setattr(benchmark, "_ROUNDS", 2)
        patch.setattr(benchmark, "_SECONDS_PER_TURN", 0)
        patch.setattr(benchmark, "_SAMPLES", 300)
        yield benchmark.benchmark()


def test_every_way_of_computing_is_timed_against_plain_keras(result):
    ways = [(row["batch_size"], row["fast"], row["precision"]) for row in result["steps"]]
    assert ways == [
        (16, False, "float32"),
        (16, False, "bfloat16"),
        (16, True, "float32"),
        (16, True, "bfloat16"),
    ]
    assert result["steps"][0]["speedup"] == {"median": 1, "low": 1, "high": 1}
    for row in result["steps"]:
        assert 0 < row["speedup"]["low"] <= row["speedup"]["median"] <= row["speedup"]["high"]
        seconds = row["milliseconds"] / 1000
        assert row["images_per_second"] == pytest.approx(16 / seconds)
        assert row["hours"] * 3600 == pytest.approx(50 * 60_000 / 16 * seconds)
    assert result["sampled_images_per_second"] > 0


def test_the_result_is_a_table_and_plain_json(result, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "benchmark", lambda: result)
    assert main(["benchmark", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == result
    assert main(["benchmark"]) == 0
    table = capsys.readouterr().out
    assert result["environment"]["processor"] in table
    assert sum(line.startswith("| 16 |") for line in table.splitlines()) == 4
    assert "| 1.00 (1.00 to 1.00) |" in table
    assert "images/s sampled by gan-tf sample" in table
