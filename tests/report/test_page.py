"""The report as a file, as text and as JSON: by the command, from Python, and after a training."""

import dataclasses
import json
import math
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, refusal, small
from make_published_page import read_published_run

import gan_tf
from gan_tf.evaluation.variety import variety
from gan_tf.report import curves, read_run
from gan_tf.report.page import page
from gan_tf.report.runs import cells
from gan_tf.run.rundir import RunDir, write_table

ILL_RUNS = ROOT / "tests" / "report" / "ill_runs"
PAGE = ROOT / "docs" / "report.html"


class _Addresses(HTMLParser):
    """Collects what the attributes of a page would load or lead to."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        names = ("src", "href", "xlink:href", "action", "srcset", "poster", "data")
        self.found += [value for name, value in attrs if name in names]


def external(html):
    """The addresses that a page would load or lead to, but for anchors and data within it."""
    parser = _Addresses()
    parser.feed(html)
    outside = [address for address in parser.found if not address.startswith(("data:", "#"))]
    in_style = re.findall(r"url\(|@import", html)
    in_words = set(re.findall(r"https?://[^\s\"'<)]+", html)) - {"http://www.w3.org/2000/svg"}
    return outside + in_style + sorted(in_words)


def test_an_external_address_would_be_found():
    assert external("<img src='data:,'><a href=#top>") == []
    for html in ["<img src=x.png>", "<a href='https://a.b/'>", "a{b:url(x)}", "fetch('http://a')"]:
        assert external(html), html


def test_the_page_loads_nothing_from_elsewhere(swinging_page):
    html = swinging_page.read_text(encoding="utf-8")
    assert external(html) == []
    assert "default-src 'none'" in html
    for word in ["unsafe-inline", "unsafe-eval", "fetch(", "XMLHttpRequest", "innerHTML", "eval("]:
        assert word not in html, word


def test_the_same_run_gives_the_same_page(swinging, swinging_page):
    assert page([swinging]) == swinging_page.read_text(encoding="utf-8")


def test_the_published_page_is_that_of_the_published_run():
    """It names the numbers of docs/results/history.csv, and is small and closed in itself."""
    html = PAGE.read_text(encoding="utf-8")
    assert PAGE.stat().st_size < 2_000_000
    assert external(html) == []
    data = json.loads(re.search(r'id="data">(.*?)</script>', html)[1])
    (rows,) = data["rows"]
    published = RunDir(ROOT / "docs" / "results").read_history()
    losses = [row["generator_loss"] for row in published]
    assert [row["generator_loss"] for row in rows] == pytest.approx(losses, rel=1e-4)
    assert data["runs"][0]["epochs"] == list(range(1, 51))
    assert "A sound run" in html


def test_the_published_page_is_what_this_code_makes(tmp_path):
    """But for the bytes of its pictures, which differ from one zlib to another.

    To make it again: python tests/report/make_published_page.py
    """

    def words(html):
        return re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "PICTURE", html)

    assert words(page([read_published_run(tmp_path)])) == words(PAGE.read_text(encoding="utf-8"))


def test_two_runs_lie_side_by_side():
    runs = [read_run(ILL_RUNS / name) for name in ("fast_discriminator", "swinging")]
    html = page(runs)
    differing = html[html.index("What differs") : html.index("<details>")]
    names = re.findall(r'<th scope="row">(\w+)</th>', differing)
    assert {"epochs", "learning_rate", "discriminator_learning_rate"} <= set(names)
    assert "batch_size" not in names and "run_dir" not in names
    losses = curves.charts(runs)[0]
    assert [line.label for line in losses.lines] == [
        "generator (A)",
        "discriminator (A)",
        "generator (B)",
        "discriminator (B)",
    ]
    assert [len(line.values) for line in losses.lines] == [40] * 4
    assert losses.lines[0].values[25:] == [None] * 15


def test_a_chart_draws_the_numbers_where_they_are(swinging):
    chart = curves.charts([swinging])[0]
    points = np.array([[float(n) for n in p.split(",")] for p in chart.lines[0].points.split()])
    losses = np.array(swinging.column("generator_loss"))
    # Points lie on a straight line in their value, downwards, and evenly from left to right.
    assert np.corrcoef(points[:, 1], losses)[0, 1] < -0.9999
    assert np.diff(points[:, 0]) == pytest.approx(422 / 39, abs=0.11)
    assert points[[0, -1], 0].tolist() == [46, 468]
    places = np.array([y for y, _ in chart.y_ticks])
    values = np.array([float(text) for _, text in chart.y_ticks])
    slope, level = np.polyfit(losses, points[:, 1], 1)
    assert places == pytest.approx(level + slope * values, abs=0.2)


def test_an_evaluated_run_shows_its_quality(tmp_path):
    folder = Path(shutil.copytree(ILL_RUNS / "swinging", tmp_path / "run"))
    head = "epoch,fcd,fcd_floor,share_0,unclaimed_share\n"
    (folder / "evaluation.csv").write_text(head + "10,30.5,2.5,0.2,0.2\n40,9.25,2.5,0.001,0.2\n")
    run = read_run(folder)
    chart = curves.charts([run])[-1]
    assert chart.title == "Distance to real images"
    assert [(line.label, line.values[9], line.values[39]) for line in chart.lines] == [
        ("FCD", 30.5, 9.25),
        ("floor", 2.5, 2.5),
    ]
    html = page([run])
    assert "<b>9.25</b> FCD" in html and "T-shirt/top" in html
    assert "Could not be looked for" not in html


def test_too_many_grids_leave_out_epochs_but_not_the_last(swinging, monkeypatch):
    from gan_tf.report import page as module

    monkeypatch.setattr(module, "_SPRITE_BYTES", 30_000)
    html = page([swinging])
    epochs = json.loads(re.search(r'id="data">(.*?)</script>', html)[1])["runs"][0]["epochs"]
    assert 1 <= len(epochs) < len(swinging.grids) and epochs[-1] == 40


def test_a_run_without_grids_and_columns_has_a_page(swinging):
    bare = dataclasses.replace(
        swinging,
        grids={},
        history=[{"epoch": row["epoch"], "step": row["step"]} for row in swinging.history],
    )
    html = page([bare])
    assert "What differs" not in html and "<canvas" in html


def test_variety_without_its_column_is_measured_on_the_grids(swinging):
    history = [
        {name: value for name, value in row.items() if name != "variety"}
        for row in swinging.history
    ]
    run = dataclasses.replace(swinging, history=history)
    images = cells(swinging.grids[40])
    assert images.shape == (16, 28, 28)
    assert run.variety().keys() == swinging.grids.keys()
    assert run.variety()[40] == variety(images[..., None] / 127.5 - 1)


def test_strange_numbers_make_a_page_all_the_same(swinging, random_choices, tmp_path):
    """History files may be edited, or of a run that went mad: no number may be the page's end."""
    strange = [0.0, -1.0, 1e-12, 0.5, 1.0, 1e14, 1e300, math.nan, -math.inf, None]
    shutil.copy(ILL_RUNS / "swinging" / "config.json", tmp_path)
    for count in [1, 1, 2, 3, 5, 9, 12, 40]:
        few = random_choices.sample(strange, random_choices.randint(1, 3))
        rows = [
            {name: random_choices.choice(few) for name in row} | {"epoch": epoch, "step": epoch}
            for epoch, row in enumerate(swinging.history[:count], 1)
        ]
        write_table(tmp_path / "history.csv", rows)
        try:
            html = page([read_run(tmp_path)])
        except Exception as error:
            raise AssertionError(f"{count} rows of {few}") from error
        assert "NaN" not in html[html.index('id="data"') : html.index("use strict")]


# ---------------------------------------------------------------------------------- the command


@pytest.fixture
def ill_run(tmp_path):
    return Path(shutil.copytree(ILL_RUNS / "tiny_data_set", tmp_path / "tiny"))


def test_the_command_writes_the_page_into_the_run(in_process, ill_run):
    finished = in_process("report", "--run-dir", ill_run)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.startswith(f"{ill_run / 'report.html'}: ")
    assert "Too early to judge" in (ill_run / "report.html").read_text(encoding="utf-8")


def test_the_command_takes_two_runs_and_an_output(in_process, ill_run, tmp_path):
    output = tmp_path / "both.html"
    runs = ["--run-dir", ill_run, "--run-dir", ILL_RUNS / "swinging"]
    finished = in_process("report", *runs, "--output", output)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert not (ill_run / "report.html").exists()
    assert "What differs" in output.read_text(encoding="utf-8")


def test_the_command_prints_findings(in_process, ill_run):
    finished = in_process("report", "--run-dir", ill_run, "--text")
    assert finished.returncode == 0
    assert "ADVICE: Too early to judge\n" in finished.stdout
    assert max(map(len, finished.stdout.splitlines())) <= 100
    finished = in_process("report", "--run-dir", ill_run, "--json")
    (told,) = json.loads(finished.stdout)
    assert (told["run"], told["level"], told["verdict"]) == (
        "tiny",
        "advice",
        "Too early to judge.",
    )
    (finding,) = told["findings"]
    assert (finding["rule"], finding["epochs"]) == ("too_early", [])
    assert not (ill_run / "report.html").exists()


def test_a_mistake_is_told_in_one_line(in_process, ill_run, tmp_path):
    def said(*flags):
        return refusal("report", *flags, run=in_process)

    assert "--run-dir" in said("--run-dir", tmp_path / "nothing")
    assert "--output" in said("--run-dir", ill_run, "--text", "--output=x.html")
    assert "snapshot" in said("--run-dir", ill_run, "--live")
    assert "--run-dir: give one to 8 runs, not 9" in said(*["--run-dir", ill_run] * 9)
    (ill_run / "evaluation.csv").write_text("epoch\n1\n")
    assert "evaluation.csv" in said("--run-dir", ill_run)
    (ill_run / "evaluation.csv").unlink()
    (ill_run / "history.csv").write_text("epoch,step\n")
    assert "finished an epoch" in said("--run-dir", ill_run)
    (ill_run / "history.csv").write_text("epoch,step\n2,9\n")
    assert "history.csv" in said("--run-dir", ill_run)
    assert not (ill_run / "report.html").exists()


def test_a_damaged_grid_is_named(in_process, ill_run):
    grid = ill_run / "samples" / "epoch_0005.png"
    grid.write_bytes(grid.read_bytes()[:100])
    assert "epoch_0005.png" in refusal("report", "--run-dir", ill_run, run=in_process)


def test_a_finished_training_has_its_page(small_run):
    html = (small_run / "report.html").read_text(encoding="utf-8")
    assert external(html) == []
    assert "Too early to judge" in html


def test_the_page_with_the_generator_in_it(run_copy):
    path = gan_tf.write_report(run_copy, run_copy / "live.html", live=True)
    assert 5e6 < path.stat().st_size < 8e6
    assert 'id="draw-new"' in path.read_text(encoding="utf-8")
    assert external(path.read_text(encoding="utf-8")) == []


def test_a_page_that_cannot_be_made_costs_no_run(in_process, run_copy):
    """A damaged evaluation.csv, which nothing else reads at the end of this training."""
    (run_copy / "report.html").unlink()
    (run_copy / "training.gif").unlink()  # so that the command has something to do
    (run_copy / "evaluation.csv").write_text("epoch\n1\n")
    with pytest.warns(UserWarning, match="the run goes on .*evaluation.csv is damaged"):
        finished = in_process(*small(run_copy))
    assert finished.returncode == 0
    assert (run_copy / "training.gif").exists() and not (run_copy / "report.html").exists()
