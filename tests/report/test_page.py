"""The report as a file, as text and as JSON: by the command, from Python, and after a training."""

import dataclasses
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import ILL_RUNS, ROOT, refusal, small, truncate

import gan_tf
from gan_tf.evaluation.variety import variety
from gan_tf.report import curves, read_run
from gan_tf.report import page as pages
from gan_tf.report.page import page
from gan_tf.report.runs import cells
from gan_tf.run.images import write_png
from gan_tf.run.rundir import RunDir

PAGE = ROOT / "docs" / "report.html"


def external(html):
    """The addresses in a page; its policy keeps it from loading any that is not data."""
    assert "default-src 'none'" in html and "img-src data:" in html
    return set(re.findall(r"https?://[^\s\"'<)]+", html)) - {"http://www.w3.org/2000/svg"}


def embedded(html):
    return json.loads(re.search(r'id="data">(.*?)</script>', html)[1])


def test_the_published_page_is_what_this_code_makes_and_loads_nothing(published):
    """Except for the bytes of its pictures, which depend on the version of zlib."""

    def words(html):
        return re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "PICTURE", html)

    html = PAGE.read_text(encoding="utf-8")
    made = words(page([published]))
    assert made == words(html), "run `python tests/report/make_published_page.py`"
    assert PAGE.stat().st_size < 2_000_000
    assert embedded(html)["runs"][0]["epochs"] == list(range(1, 51))
    assert (
        "A sound run" in html and "1.263 in epoch 28, 1.037 in epoch 42, 1.229 in epoch 43." in html
    )
    assert not external(html)
    for word in ["unsafe-inline", "unsafe-eval", "fetch(", "XMLHttpRequest", "innerHTML", "eval("]:
        assert word not in made, word


def test_two_runs_lie_side_by_side():
    runs = [read_run(ILL_RUNS / name) for name in ("fast_discriminator", "swinging")]
    html = page(runs)
    differing = html[html.index("What differs") : html.index("<details>")].replace("<wbr>", "")
    names = re.findall(r'<th scope="row">(\w+)</th>', differing)
    assert {"epochs", "learning_rate", "discriminator_learning_rate"} <= set(names)
    assert "batch_size" not in names and "run_dir" not in names
    for chart in curves.charts(runs)[:2]:
        lines = [(line.style, len(points(line))) for line in chart.lines]
        assert lines == [
            *(("run-A", 25), ("run-A second", 25)),
            *(("run-B", 40), ("run-B second", 40)),
        ]
        letters = "".join(letter for _, _, letter in chart.letters)
        assert letters == "AABB"
        places = [y for _, y, _ in chart.letters]  # each letter can be read
        assert np.diff(places)[[0, 2]].min() >= 12


def changed(run, name, value):
    """The same run with other values in a column of its history: a function of the row."""
    history = [row | {name: value(row)} for row in run.history]
    return dataclasses.replace(run, history=history)


def test_the_page_says_whose_images_it_shows_and_keeps_flags_whole(swinging):
    text = "Type <it> (gan-tf evaluate --all-epochs), with --seed 1, not x--y."
    config = swinging.config | {"ema_decay": 0.999, "dataset": text}
    html = page([dataclasses.replace(swinging, config=config)])
    assert "Images of the averaged generator after epoch 40" in html
    assert (
        "Type &lt;it&gt; (<code>gan-tf evaluate</code> <code>--all-epochs</code>), with"
        " <code>--seed 1</code>, not x--y."
    ) in html


def points(line):
    return np.array([[float(n) for n in point.split(",")] for point in line.segments[0].split()])


@pytest.mark.parametrize(
    "factor, scale, ticks", [(1, float, "0 5 10"), (1e3, np.log10, "0.01 1 100 1e4")]
)
def test_a_chart_shows_the_numbers_in_their_places(swinging, factor, scale, ticks):
    """Of a run, and of one beside it that may have diverged, which flattens no other."""
    tame = changed(swinging, "generator_loss", lambda row: 0.01 * row["epoch"])
    other = changed(swinging, "generator_loss", lambda row: factor * row["generator_loss"])
    chart = curves.charts([tame, other])[0]
    places, texts = zip(*chart.y_ticks)
    assert " ".join(texts) == ticks
    assert chart.caption.endswith("logarithmic above 0.001") == (factor > 1)
    slope, level = np.polyfit([scale(float(text)) for text in texts], places, 1)
    assert slope < 0
    for line, run in zip(chart.lines[::2], (tame, other)):
        assert np.diff(points(line)[:, 0]) == pytest.approx(412 / 39, abs=0.11)
        assert points(line)[[0, -1], 0].tolist() == [46, 458]
        losses = np.array([scale(row["generator_loss"]) for row in run.history])
        assert points(line)[:, 1] == pytest.approx(level + slope * losses, abs=0.1)
    assert [text for _, text in chart.x_ticks] == ["1", "10", "20", "30", "40"]


def test_a_missing_value_is_a_gap_and_real_varieties_are_levels(swinging):
    def chart(*real_varieties):
        run = changed(swinging, "variety", lambda row: None if row["epoch"] in (3, 5) else 0.5)
        run = dataclasses.replace(run, config=run.config | {"dataset": "leaves"})
        runs = [dataclasses.replace(run, environment={"real_variety": v}) for v in real_varieties]
        return next(chart for chart in curves.charts(runs) if chart.title == "Variety")

    found = chart(0.45)
    assert [len(segment.split()) for segment in found.lines[0].segments] == [2, 1, 35]
    place, other = found.y_ticks[0][0], found.y_ticks[-1][0]  # of 0 and 1
    assert found.levels == [pytest.approx(place + 0.45 * (other - place), abs=0.1)]
    assert found.caption.endswith("dashed grey: between two training images, 0.45")
    assert chart(0.45, 0.8, 0.45).caption.endswith("images, 0.45 and 0.80")
    assert chart(None).levels == chart("0.45").levels == chart(-1.0).levels == []


def test_an_evaluated_run_shows_its_quality(tmp_path):
    folder = Path(shutil.copytree(ILL_RUNS / "swinging", tmp_path / "run"))
    head = "epoch,fcd,fcd_floor,share_0,unclaimed_share\n"
    (folder / "evaluation.csv").write_text(head + "10,30.5,2.5,0.2,0.2\n40,9.25,2.5,0.001,0.2\n")
    run = read_run(folder)
    lines = curves.charts([run])[-1].lines
    assert [(line.label, len(line.segments)) for line in lines] == [("FCD", 2), ("floor", 2)]
    html = page([run])
    assert [embedded(html)["rows"][0][epoch - 1]["fcd"] for epoch in (10, 40)] == [30.5, 9.25]
    assert "<b>9.25</b> FCD" in html and "T-shirt/top" in html


def test_a_page_has_the_grids_that_there_are(swinging, monkeypatch):
    html = page([dataclasses.replace(swinging, grids={})])
    assert "no sample grids" in html and '<canvas class="grid"' not in html
    monkeypatch.setattr(pages, "_MOST_GRIDS", 5)  # epochs are left out, but not the last
    assert embedded(page([swinging]))["runs"][0]["epochs"] == [10, 20, 30, 40]


def test_variety_without_its_column_is_measured_on_the_grids(published):
    images = cells(published.grids[40])
    assert images.shape == (16, 28, 28)
    assert published.history[39]["variety"] == variety(images[..., None] / 127.5 - 1)


@pytest.mark.parametrize("command", ["report", "draw"])
@pytest.mark.parametrize("value", ["inf", ""])
def test_a_damaged_history_is_refused_by_each_command(in_process, ill_run, command, value):
    edit(ill_run, "generator_loss", value)
    message = refusal(command, "--run-dir", ill_run, run=in_process)
    assert f"{ill_run / 'history.csv'} has lost rows or columns, or is damaged" in message


def test_a_history_without_its_last_epoch_is_refused(in_process, run_copy):
    run = RunDir(run_copy)
    run.write_history(run.read_history()[:2])
    message = refusal("report", "--run-dir", run_copy, run=in_process)
    assert "history.csv has lost rows: restore it" in message


@pytest.mark.parametrize(
    "name, value", [("generator_loss", "-1"), ("real_accuracy", "1.1"), ("step", "-3")]
)
def test_a_value_that_no_run_computes_is_named(in_process, ill_run, name, value):
    edit(ill_run, name, value)
    message = refusal("report", "--run-dir", ill_run, run=in_process)
    assert f"history.csv is damaged: {name} is {value} in epoch 7" in message


def edit(folder, name, value):
    """Changes a cell of history.csv, in epoch 7."""
    lines = [line.split(",") for line in (folder / "history.csv").read_text().splitlines()]
    lines[7][lines[0].index(name)] = value
    (folder / "history.csv").write_text("\n".join(map(",".join, lines)))


@pytest.mark.campaign
def test_a_run_of_thousands_of_epochs_has_a_page(swinging):
    """Work that grows with the square of the epochs would take minutes."""
    history = [
        swinging.history[index % 40] | {"epoch": index + 1, "step": index + 1}
        for index in range(6000)
    ]
    assert len(page([dataclasses.replace(swinging, history=history)])) < 5_000_000


# ---------------------------------------------------------------------------------- the command


@pytest.fixture
def ill_run(tmp_path):
    return Path(shutil.copytree(ILL_RUNS / "tiny_data_set", tmp_path / "tiny"))


def test_the_command_writes_the_page_of_two_runs(in_process, ill_run, tmp_path):
    output = tmp_path / "both.html"
    both = ["--run-dir", ill_run, "--run-dir", ILL_RUNS / "swinging"]
    finished = in_process("report", *both, "--output", output)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.startswith(f"{output}: ") and not (ill_run / "report.html").exists()
    assert "What differs" in output.read_text(encoding="utf-8")


def test_the_command_prints_findings(in_process, ill_run):
    finished = in_process("report", "--run-dir", ill_run, "--text")
    assert "ADVICE: Too early to judge\n" in finished.stdout
    assert max(map(len, finished.stdout.splitlines())) <= 100
    (report,) = json.loads(in_process("report", "--run-dir", ill_run, "--json").stdout)
    (finding,) = report.pop("findings")
    assert report == {"run": "tiny", "level": "advice", "verdict": "Too early to judge."}
    assert (finding["rule"], finding["epochs"]) == ("too_early", [])
    assert not (ill_run / "report.html").exists()


def test_a_name_that_is_not_utf_8_is_shown_all_the_same(in_process, ill_run):
    record = (ill_run / "config.json").read_text()
    (ill_run / "config.json").write_text(record.replace('"AMD EPYC"', '"caf\\udce9"'))
    for flags in [(), ("--text",), ("--json",)]:
        finished = in_process("report", "--run-dir", ill_run, *flags)
        assert (finished.returncode, finished.stderr) == (0, "")
    assert "on caf?" in (ill_run / "report.html").read_text(encoding="utf-8")


def test_a_mistake_is_reported_in_one_line(in_process, ill_run, tmp_path):
    def message(*flags):
        return refusal("report", *flags, run=in_process)

    assert "--run-dir" in message("--run-dir", tmp_path / "nothing")
    assert "--output" in message("--run-dir", ill_run, "--text", "--output=x.html")
    assert "snapshot" in message("--run-dir", ill_run, "--live")
    assert "--run-dir: give one to 8 runs, not 9" in message(*["--run-dir", ill_run] * 9)
    (ill_run / "evaluation.csv").write_text("epoch\n1\n")
    assert "evaluation.csv" in message("--run-dir", ill_run)
    (ill_run / "evaluation.csv").unlink()
    (ill_run / "history.csv").write_text("epoch,step\n")
    assert "finished an epoch" in message("--run-dir", ill_run)
    assert not (ill_run / "report.html").exists()


def test_a_damaged_grid_is_named(in_process, ill_run):
    grid = ill_run / "samples" / "epoch_0005.png"

    def message():
        return refusal("report", "--run-dir", ill_run, run=in_process)

    truncate(grid)
    assert "epoch_0005.png is not a whole PNG" in message()
    write_png(grid, np.zeros([30, 30], np.uint8))
    assert "epoch_0005.png is not a grid of this run" in message()
    if hasattr(os, "mkfifo"):
        grid.unlink()
        os.mkfifo(grid)
        assert "epoch_0005.png is not a file" in message()


def test_a_training_ends_with_a_page_that_can_hold_its_generator(run_copy):
    html = (run_copy / "report.html").read_text(encoding="utf-8")
    assert not external(html)
    assert "Too early to judge" in html and 'id="draw-new"' not in html
    path = gan_tf.write_report(run_copy, run_copy / "live.html", live=True)
    assert 5e6 < path.stat().st_size < 8e6
    html = path.read_text(encoding="utf-8")
    assert not external(html) and 'id="draw-new"' in html


def test_a_page_that_cannot_be_made_costs_no_run(in_process, run_copy):
    """Nothing but the report reads evaluation.csv at the end of this training."""
    (run_copy / "report.html").unlink()
    (run_copy / "evaluation.csv").write_text("epoch\n1\n")
    with pytest.warns(UserWarning, match="evaluation.csv is damaged"):
        finished = in_process(*small(run_copy))
    assert finished.returncode == 0
    assert not (run_copy / "report.html").exists()
