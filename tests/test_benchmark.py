import json

import pytest

from gan_tf import benchmark


@pytest.mark.campaign  # it times plain Keras
def test_every_way_of_computing_is_timed_against_plain_keras(monkeypatch, in_process):
    """In small: one batch size, two rounds of single steps."""
    monkeypatch.setattr(benchmark, "BATCH_SIZES", (16,))
    monkeypatch.setattr(benchmark, "_ROUNDS", 2)
    monkeypatch.setattr(benchmark, "_SECONDS_PER_TURN", 0)
    monkeypatch.setattr(benchmark, "_SAMPLES", 300)
    result = json.loads(in_process("benchmark", "--json").stdout)
    ways = [(row["batch_size"], row["fast"], row["precision"]) for row in result["steps"]]
    precisions = "float32", "bfloat16"
    assert ways == [(16, fast, precision) for fast in (False, True) for precision in precisions]
    assert result["steps"][0]["speedup"] == {"median": 1, "low": 1, "high": 1}
    for row in result["steps"]:
        assert 0 < row["speedup"]["low"] <= row["speedup"]["median"] <= row["speedup"]["high"]
        seconds = row["milliseconds"] / 1000
        assert row["images_per_second"] == pytest.approx(16 / seconds)
        assert row["hours"] * 3600 == pytest.approx(50 * 60_000 / 16 * seconds)
    assert result["sampled_images_per_second"] > 0

    monkeypatch.setattr(benchmark, "benchmark", lambda: result)
    table = in_process("benchmark").stdout
    assert result["environment"]["processor"] in table
    assert sum(line.startswith("| 16 |") for line in table.splitlines()) == 4
    assert "| 1.00 (1.00 to 1.00) |" in table
    assert "images/s sampled by gan-tf sample" in table
