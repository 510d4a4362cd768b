"""The page: one HTML file with everything in it."""

import base64
import hashlib
import io
import json
import re
from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup, escape
from PIL import Image

from gan_tf.report import curves, story
from gan_tf.report import live as live_part
from gan_tf.report.health import examined
from gan_tf.report.runs import read_run
from gan_tf.report.signals import epochs_as_text
from gan_tf.report.toy import as_html, toy
from gan_tf.system.errors import UserError
from gan_tf.system.files import written_whole

_TEMPLATE = Path(__file__).with_name("template")
_SCRIPTS = ("minimax.js", "generator.js", "epochs.js", "playground.js", "draw.js")
_PART_1_SCRIPTS = ("minimax.js", "playground.js")
_MOST_RUNS = 8
# What the grids of all runs may take as PNG; with base64 a third more, within the page's 5 MB.
_SPRITE_BYTES = 3_200_000


def write_report(run_dirs, output=None, live: bool = False) -> Path:
    """Writes the report of a run, or of several side by side, as one HTML page.

    Args:
      run_dirs: the folder of a run, or a list of up to eight.
      output: the file; report.html in the first run's folder if None.
      live: put the generator of the first run into the page, its latest snapshot, to draw new
        images there; the page is larger by 6 MB.

    Returns:
      The path of the page.

    Raises:
      UserError: a folder holds no run, none that has finished an epoch, or a damaged one; for
        `live` also: it holds no generator.
    """
    if isinstance(run_dirs, (str, Path)):
        run_dirs = [run_dirs]
    if not 1 <= len(run_dirs) <= _MOST_RUNS:
        raise UserError(f"`run_dir`: give one to {_MOST_RUNS} runs, not {len(run_dirs)}")
    runs = [read_run(path) for path in run_dirs]
    output = Path(output or Path(run_dirs[0]) / "report.html")
    snapshot = None
    if live:
        from gan_tf.snapshots import load_snapshot  # here, as it imports TensorFlow

        snapshot = load_snapshot(run_dirs[0])
    html = page(runs, snapshot)
    with written_whole(output) as unfinished:
        unfinished.write_text(html, encoding="utf-8")
    return output


def page(runs, snapshot=None) -> str:
    """Returns the HTML of a report.

    Args:
      runs: what `read_run` returns, one to eight.
      snapshot: a `gan_tf.snapshots.Snapshot` whose generator runs in the page, or None.
    """
    drawn = curves.charts(runs)
    last = max(run.last["epoch"] for run in runs)
    weights = live_part.packed(snapshot.generator) if snapshot else None
    data = {
        "last": last,
        "chartWidth": curves.WIDTH,
        "epochX": [round(curves.x_of(epoch, last), 1) for epoch in range(1, last + 1)],
        "charts": [
            [[_short(value) for value in line.values] for line in chart.lines] for chart in drawn
        ],
        "runs": _sprites(runs),
        "rows": [_rows(run) for run in runs],
    }
    return _rendered(
        "page.html.j2",
        _SCRIPTS,
        title=" and ".join(run.name for run in runs),
        runs=[_section(letter, run) for letter, run in zip(curves.LETTERS, runs)],
        differing=_differing(runs),
        charts=drawn,
        axes=curves,
        last=last,
        toy=toy(),
        live=weights,
        live_origin=snapshot.origin if snapshot else None,
        data=data,
    )


def write_part_1(output) -> Path:
    """Writes part 1 of the assignment, with its playground, as an HTML page of its own.

    Args:
      output: the file.

    Returns:
      The path of the page.

    Raises:
      UserError: the file cannot be written.
    """
    html = _rendered("minimax.html.j2", _PART_1_SCRIPTS, toy=toy())
    with written_whole(output) as unfinished:
        unfinished.write_text(html, encoding="utf-8")
    return Path(output)


def _rendered(template, scripts, **values):
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "as_html": as_html,
        "embedded": _embedded,
        "epochs": epochs_as_text,
        "with_code": _with_code,
        "breakable": _breakable,
    }
    style = (_TEMPLATE / "page.css").read_text(encoding="utf-8")
    script = "\n".join((_TEMPLATE / name).read_text(encoding="utf-8") for name in scripts)
    return environment.get_template(template).render(
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
        **values,
    )


def _section(letter, run):
    """Returns what the template shows of one run."""
    found, not_found, not_looked_for = examined(run)
    level, sentence = story.verdict(found)
    grids = sorted(run.grids)
    return {
        "letter": letter,
        "name": run.name,
        "paragraph": story.paragraph(run),
        "generator": "averaged generator" if run.config["ema_decay"] else "generator",
        "level": level,
        "verdict": sentence,
        "findings": found,
        "settings": {**run.config, **run.environment},
        "not_found": not_found,
        "not_looked_for": not_looked_for,
        "figures": story.figures(run),
        "next": story.what_next(run),
        "part_f": story.part_f(run),
        "stills": [
            (epoch, _data_uri(run.grids[epoch]))
            for epoch in sorted({*run.config["snapshot_epochs"], run.last["epoch"]} & {*grids})
        ],
        "grids": grids,
        "compared": [epoch for epoch in (10, 30, 50) if epoch in grids] or grids[:1],
        "still": _data_uri(run.grids[grids[-1]]) if grids else None,
    }


def _differing(runs):
    """Returns the settings in which runs differ: name and value in each run."""
    settings = [{**run.config, **run.environment} for run in runs]
    values = {
        name: [one.get(name) for one in settings]
        for name in dict.fromkeys(name for one in settings for name in one)
        if name not in ("run_dir", "data_dir", "manual_dir")
    }
    return {name: row for name, row in values.items() if any(v != row[0] for v in row)}


def _sprites(runs):
    """Returns for each run its grids as one picture, one below the other, and their epochs.

    Where they would be too large for the page, every second epoch is left out, and so on; the last
    one stays.
    """
    stride = 1
    while True:
        sheets = [_sheet(run, stride) for run in runs]
        size = sum(len(sheet["image"] or "") for sheet in sheets)
        if size <= _SPRITE_BYTES * 4 / 3 or all(len(sheet["epochs"]) <= 1 for sheet in sheets):
            return sheets
        stride *= 2


def _sheet(run, stride):
    epochs = sorted(run.grids)[::-1][::stride][::-1]
    if not epochs:
        return {"name": run.name, "epochs": [], "image": None, "width": 0, "height": 0}
    height, width = run.grids[epochs[0]].shape
    columns = int(np.ceil(np.sqrt(len(epochs))))  # browsers limit a picture's side
    rows = -(-len(epochs) // columns)
    sheet = np.zeros([rows * height, columns * width], np.uint8)
    for index, epoch in enumerate(epochs):
        top, left = index // columns * height, index % columns * width
        sheet[top : top + height, left : left + width] = run.grids[epoch]
    return {
        "name": run.name,
        "epochs": epochs,
        "image": _data_uri(sheet),
        "width": width,
        "height": height,
        "columns": columns,
    }


def _data_uri(pixels):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode("ascii")


def _rows(run):
    varieties = run.variety()
    rows = [row | {"variety": varieties.get(row["epoch"])} for row in run.history]
    return [{name: _short(value) for name, value in row.items()} for row in rows]


def _short(value):
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _embedded(value):
    """Returns JSON that is safe inside a script element: no `<` can end it or begin one."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _with_code(text):
    """Marks commands and flags, which must not break across lines at their hyphens."""
    value = r"[\d.e-]*\d|best|alternating|bfloat16"
    commands = rf"gan-tf(?: [a-z]+\b)?|(?<![\w-])--[a-z][\w-]*(?: (?:{value})\b)?"
    return Markup(re.sub(commands, r"<code>\g<0></code>", str(escape(text))))


def _breakable(name):
    """Lets a long name break after its underscores."""
    return escape(name).replace("_", Markup("_<wbr>"))


def _hash(text):
    """Returns the source expression that allows an inline script or style in the page's policy."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return Markup(f"'sha256-{digest}'")
