"""The report as a file, as text and as JSON: by the command, from Python, and after a training."""

import dataclasses
import json
import os
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from helpers import ILL_RUNS, ROOT, refusal, small
from hypothesis import given, settings
from hypothesis import strategies as st

import gan_tf
from gan_tf.evaluation.variety import variety
from gan_tf.report import as_dict, as_text, curves, read_run
from gan_tf.report.page import page
from gan_tf.report.runs import cells

PAGE = ROOT / "docs" / "report.html"


def external(html):
    """The addresses that a page would load or lead to, except anchors and data within it."""
    addresses = re.findall(r'\b(?:src|href|action|srcset|poster|data)="([^"]*)"', html)
    outside = [address for address in addresses if not address.startswith(("data:", "#"))]
    in_style = re.findall(r"url\(|@import", html)
    in_text = set(re.findall(r"https?://[^\s\"'<)]+", html)) - {"http://www.w3.org/2000/svg"}
    return outside + in_style + sorted(in_text)


def embedded(html):
    return json.loads(re.search(r'id="data">(.*?)</script>', html)[1])


def test_the_page_loads_nothing_from_elsewhere(swinging_html):
    assert external(swinging_html) == []
    assert "default-src 'none'" in swinging_html
    for word in ["unsafe-inline", "unsafe-eval", "fetch(", "XMLHttpRequest", "innerHTML", "eval("]:
        assert word not in swinging_html, word


def test_the_published_page_is_what_this_code_makes(published):
    """Except for the bytes of its pictures, which depend on the version of zlib.

    To make the page again, run `python tests/report/make_published_page.py`.
    """

    def words(html):
        return re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "PICTURE", html)

    html = PAGE.read_text(encoding="utf-8")
    assert words(page([published])) == words(html)
    assert PAGE.stat().st_size < 2_000_000 and external(html) == []
    assert embedded(html)["runs"][0]["epochs"] == list(range(1, 51))
    assert "A sound run" in html


def test_two_runs_lie_side_by_side():
    runs = [read_run(ILL_RUNS / name) for name in ("fast_discriminator", "swinging")]
    html = page(runs)
    differing = html[html.index("What differs") : html.index("<details>")].replace("<wbr>", "")
    names = re.findall(r'<th scope="row">(\w+)</th>', differing)
    assert {"epochs", "learning_rate", "discriminator_learning_rate"} <= set(names)
    assert "batch_size" not in names and "run_dir" not in names
    losses = curves.charts(runs)[0]
    assert [(line.style, line.label) for line in losses.lines] == [
        ("run-A", "generator"),
        ("run-A second", "discriminator"),
        ("run-B", "generator"),
        ("run-B second", "discriminator"),
    ]
    assert [len(line.values) for line in losses.lines] == [40] * 4
    assert losses.lines[0].values[25:] == [None] * 15
    ends = [line.end for line in losses.lines]  # of the letters: each can be read
    assert abs(ends[0][1] - ends[1][1]) >= 12 and abs(ends[2][1] - ends[3][1]) >= 12


def changed(run, **values):
    """The same run with other values in every row of its history: numbers, or functions of it."""
    history = [
        row | {name: value(row) if callable(value) else value for name, value in values.items()}
        for row in run.history
    ]
    return dataclasses.replace(run, history=history)


def test_the_page_says_whose_images_it_shows_and_keeps_flags_whole(swinging, swinging_html):
    text = "Type <it> (gan-tf evaluate --all-epochs), with --seed 1, not x--y."
    config = swinging.config | {"ema_decay": 0.999, "dataset": text}
    html = page([dataclasses.replace(swinging, config=config)])
    assert "Images of the averaged generator after epoch 40" in html
    assert "Images of the generator after epoch 40" in swinging_html
    assert (
        "Type &lt;it&gt; (<code>gan-tf evaluate</code> <code>--all-epochs</code>), with"
        " <code>--seed 1</code>, not x--y."
    ) in html


def height(chart, value):
    """The vertical place of a value in a chart, by its ticks."""
    return np.interp(value, *zip(*[(float(text), y) for y, text in chart.y_ticks]))


def points(line):
    return np.array([[float(n) for n in point.split(",")] for point in line.segments[0].split()])


def test_a_chart_shows_the_numbers_in_their_places(swinging):
    line = (chart := curves.charts([swinging])[0]).lines[0]
    losses = np.array(swinging.column("generator_loss"))
    assert np.diff(points(line)[:, 0]) == pytest.approx(412 / 39, abs=0.11)
    assert points(line)[[0, -1], 0].tolist() == [46, 458]
    slope, level = np.polyfit(losses, points(line)[:, 1], 1)
    assert slope < 0 and points(line)[:, 1] == pytest.approx(level + slope * losses, abs=0.06)
    for y, text in chart.y_ticks:
        assert y == pytest.approx(level + slope * float(text), abs=0.2)
    assert [text for _, text in chart.x_ticks] == ["1", "10", "20", "30", "40"]


def test_a_run_that_diverged_flattens_no_other(swinging):
    tame = changed(swinging, generator_loss=lambda row: 0.01 * row["epoch"])
    wild = changed(swinging, generator_loss=lambda row: 1e3 * row["generator_loss"])
    chart = curves.charts([tame, wild])[0]
    assert chart.caption.endswith("logarithmic above 3")
    tame_y, _, wild_y, _ = (points(line)[:, 1] for line in chart.lines)
    assert tame_y[0] - tame_y[39] > 12  # 0.01 to 0.4, of 206 points for 0 to 10,441
    assert tame_y == pytest.approx([height(chart, 0.01 * n) for n in range(1, 41)], abs=0.1)
    assert max(wild_y) < height(chart, 3)
    assert [text for _, text in chart.y_ticks[-2:]] == ["100", "1e4"]
    assert "logarithmic" not in curves.charts([tame])[0].caption


def test_a_missing_value_is_a_gap(swinging):
    run = changed(swinging, generator_loss=lambda row: {3: None, 5: None}.get(row["epoch"], 1.0))
    line = curves.charts([run])[0].lines[0]
    assert [len(segment.split()) for segment in line.segments] == [2, 1, 35]
    assert line.values[1:5] == [1.0, None, 1.0, None]


def test_the_variety_of_the_training_images_is_a_level(swinging):
    def varieties(*values):
        environments = [swinging.environment | {"real_variety": value} for value in values]
        runs = [dataclasses.replace(swinging, environment=one) for one in environments]
        return next(chart for chart in curves.charts(runs) if chart.title == "Variety")

    chart = varieties(0.45)
    assert chart.levels == [pytest.approx(height(chart, 0.45), abs=0.1)]
    assert chart.caption.endswith("dashed grey: between two training images, 0.45")
    assert varieties(0.45, 0.8, 0.45).caption.endswith("images, 0.45 and 0.80")
    assert varieties(None).levels == varieties("0.45").levels == varieties(-1.0).levels == []


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
    assert "Could not be checked" not in html


def test_too_many_grids_leave_out_epochs_but_not_the_last(swinging, monkeypatch):
    from gan_tf.report import page as module

    monkeypatch.setattr(module, "_SPRITE_LENGTH", 40_000)
    epochs = embedded(page([swinging]))["runs"][0]["epochs"]
    assert 1 <= len(epochs) < len(swinging.grids) and epochs[-1] == 40


def test_a_run_without_grids_and_columns_has_a_page(swinging):
    history = [{"epoch": row["epoch"], "step": row["step"]} for row in swinging.history]
    html = page([dataclasses.replace(swinging, grids={}, history=history)])
    assert "no sample grids" in html and '<canvas class="grid" data-run' not in html


def test_variety_without_its_column_is_measured_on_the_grids(swinging):
    run = changed(swinging, variety=None)
    images = cells(swinging.grids[40])
    assert images.shape == (16, 28, 28)
    assert run.variety().keys() == swinging.grids.keys()
    assert run.variety()[40] == variety(images[..., None] / 127.5 - 1)


ODD = ["", "0", "-1", "1e-300", "0.25", "0.5", "3", "1e14", "1e16", "1e308", "nan", "-inf"]
COLUMNS = [
    *["generator_loss", "discriminator_loss", "generator_loss_std", "real_probability"],
    *["fake_probability", "real_accuracy", "fake_accuracy", "generator_gradient_norm", "variety"],
    *["seconds", "images_per_second", "share_0", "of another program", ""],
]
SCORES = ["fcd_floor", "kid", "share_0", "share_9", "share_total", "share_-1", "variety", "fcd"]


@st.composite
def odd_table(draw, known, columns, epochs):
    """A header, perhaps with duplicate columns, and rows of a few odd numbers."""
    header = known + draw(st.lists(st.sampled_from(columns), max_size=12))
    few = draw(st.lists(st.sampled_from(ODD), min_size=1, max_size=4))
    width = len(header) - 1
    cells = st.lists(st.sampled_from(few), min_size=width, max_size=width)
    return [header, *([str(epoch), *draw(cells)] for epoch in draw(epochs))]


HISTORIES = odd_table(
    ["epoch"], COLUMNS, st.sampled_from([1, 2, 3, 9, 12]).map(lambda n: range(1, n + 1))
)
EVALUATIONS = odd_table(
    ["epoch", "fcd"], SCORES, st.lists(st.sampled_from([-1, 0, 1, 2, 9, 10**16]))
)


@given(history=HISTORIES, evaluation=EVALUATIONS)
@settings(deadline=None, max_examples=30)
def test_odd_tables_make_a_report_without_a_false_figure(history, evaluation):
    """Files may be edited, or damaged; a value that no run computes counts as missing."""
    for number, row in enumerate(history):
        row.insert(1, 3 * number or "step")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(ILL_RUNS / "swinging" / "config.json", folder)
        for name, rows in [("history", history), ("evaluation", evaluation)]:
            lines = [",".join(map(str, row)) for row in rows]
            Path(folder, f"{name}.csv").write_text("\n".join(lines) + "\n")
        try:
            run = read_run(folder)
        except gan_tf.UserError as error:
            assert "evaluation.csv is damaged" in str(error)
            assert {"", "nan", "-inf"} & {*sum(evaluation, [])}
            return
    html = page([run])
    words = (
        as_text(run) + json.dumps(as_dict(run), allow_nan=False) + html[: html.index('id="data')]
    )
    assert not re.search(r"\b(nan|inf|None|NaN|class -?\d+)\b", words)
    (rows,) = embedded(html)["rows"]
    for row, written in zip(rows, history[1:], strict=True):
        for name, cell in zip(history[0][::-1], written[::-1]):  # the last of two columns counts
            if name in row:
                value, number = row.pop(name), float(cell or "nan")
                assert value in (None, float(f"{number:.5g}"))
                assert (value is not None) or not 0 <= number <= 1
    assert [row["epoch"] for row in run.evaluation] == sorted(
        {int(row[0]) for row in evaluation[1:]} & {*range(1, len(history))}
    )


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


def test_the_command_writes_the_page_of_a_run_or_of_two(in_process, ill_run, tmp_path):
    finished = in_process("report", "--run-dir", ill_run)
    assert (finished.returncode, finished.stderr) == (0, "")
    path = ill_run / "report.html"
    assert finished.stdout.startswith(f"{path}: ")
    assert "Too early to judge" in path.read_text(encoding="utf-8")
    path.unlink()
    output = tmp_path / "both.html"
    both = ["--run-dir", ill_run, "--run-dir", ILL_RUNS / "swinging"]
    finished = in_process("report", *both, "--output", output)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert not path.exists()
    assert "What differs" in output.read_text(encoding="utf-8")


def test_the_command_prints_findings(in_process, ill_run):
    finished = in_process("report", "--run-dir", ill_run, "--text")
    assert finished.returncode == 0
    assert "ADVICE: Too early to judge\n" in finished.stdout
    assert max(map(len, finished.stdout.splitlines())) <= 100
    finished = in_process("report", "--run-dir", ill_run, "--json")
    (report,) = json.loads(finished.stdout)
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
    for rows in ["2,9", "1,10000000000000000", "1,-3", "1,5\n2,5"]:
        (ill_run / "history.csv").write_text(f"epoch,step\n{rows}\n")
        assert "history.csv" in message("--run-dir", ill_run)
    assert not (ill_run / "report.html").exists()


def test_a_damaged_grid_is_named(in_process, ill_run):
    grid = ill_run / "samples" / "epoch_0005.png"
    grid.write_bytes(grid.read_bytes()[:100])
    assert "epoch_0005.png" in refusal("report", "--run-dir", ill_run, run=in_process)
    if hasattr(os, "mkfifo"):
        grid.unlink()
        os.mkfifo(grid)
        message = refusal("report", "--run-dir", ill_run, run=in_process)
        assert "epoch_0005.png is not a file" in message


def test_a_training_ends_with_a_page_that_can_hold_its_generator(run_copy):
    html = (run_copy / "report.html").read_text(encoding="utf-8")
    assert external(html) == []
    assert "Too early to judge" in html and 'id="draw-new"' not in html
    path = gan_tf.write_report(run_copy, run_copy / "live.html", live=True)
    assert 5e6 < path.stat().st_size < 8e6
    html = path.read_text(encoding="utf-8")
    assert external(html) == [] and 'id="draw-new"' in html


def test_a_page_that_cannot_be_made_costs_no_run(in_process, run_copy):
    """Nothing but the report reads evaluation.csv at the end of this training."""
    (run_copy / "report.html").unlink()
    (run_copy / "evaluation.csv").write_text("epoch\n1\n")
    with pytest.warns(UserWarning, match="evaluation.csv is damaged"):
        finished = in_process(*small(run_copy))
    assert finished.returncode == 0
    assert not (run_copy / "report.html").exists()
