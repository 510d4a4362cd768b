"""The page: one HTML file that holds everything it needs."""

import base64
import hashlib
import io
import re
from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup, escape
from PIL import Image

from gan_tf import minimax
from gan_tf.minimax import answers
from gan_tf.minimax.games import typeset, unbroken
from gan_tf.report import curves, live, story
from gan_tf.report.rules import LEVELS, RULES, findings
from gan_tf.report.runs import read_run
from gan_tf.run.images import make_grid
from gan_tf.system.errors import UserError
from gan_tf.system.files import written_whole

_TEMPLATE = Path(__file__).with_name("template")
_MOST_RUNS = 8
_MOST_GRIDS = 300  # on a page, which stays below 5 MB


def write_report(run_dirs, output=None, live: bool = False) -> Path:
    """Writes the report of a run, or of several side by side, as one HTML page.

    Args:
      run_dirs: the folder of a run, or a list of up to eight.
      output: the file; by default report.html in the first run's folder.
      live: include the latest generator of the first run, so that the page can draw new images;
        this adds 6 MB.

    Returns:
      The path of the page.

    Raises:
      UserError: a folder holds no run, a damaged one, or one that has not finished an epoch; or
        `live` is set and the first run has no generator.
    """
    if isinstance(run_dirs, (str, Path)):
        run_dirs = [run_dirs]
    if not 1 <= len(run_dirs) <= _MOST_RUNS:
        raise UserError(f"`run_dir`: give one to {_MOST_RUNS} runs, not {len(run_dirs)}")
    runs = [read_run(path) for path in run_dirs]
    snapshot = None
    if live:
        from gan_tf.snapshots import load_snapshot  # imports TensorFlow

        snapshot = load_snapshot(run_dirs[0])
    return _write(output or Path(run_dirs[0]) / "report.html", page(runs, snapshot))


def write_part_1(output) -> Path:
    """Writes part 1 of the assignment, with its playground, as a page, and returns its path."""
    return _write(output, _rendered("minimax.html.j2"))


def page(runs, snapshot=None) -> str:
    """Returns the HTML of a report.

    Args:
      runs: one to eight of what `read_run` returns.
      snapshot: a `gan_tf.snapshots.Snapshot` whose generator runs in the page, or None.
    """
    charts = curves.charts(runs)
    last = max(run.last["epoch"] for run in runs)
    stride = 1 + sum(len(run.grids) for run in runs) // (_MOST_GRIDS + 1)
    data = {
        "last": last,
        "axis": {"left": curves.LEFT, "right": curves.WIDTH - curves.RIGHT, "all": curves.WIDTH},
        "charts": [[(line.run, line.column) for line in chart.lines] for chart in charts],
        "runs": [_sheet(run.grids, stride) for run in runs],
        "rows": [run.history for run in runs],
    }
    return _rendered(
        "page.html.j2",
        runs=runs,
        health=[findings(run) for run in runs],
        levels=LEVELS,
        rules=[rule.__name__.replace("_", " ") for rule in RULES],
        differing=_differing(runs),
        charts=charts,
        axes=curves,
        last=last,
        live=live.packed(snapshot.generator) if snapshot else None,
        live_origin=snapshot.origin if snapshot else None,
        data=data,
    )


def _write(output, html):
    with written_whole(output) as unfinished:
        # A text of config.json that is not UTF-8 holds lone surrogates, which no file can store.
        unfinished.write_text(html, encoding="utf-8", errors="replace")
    return Path(output)


def _rendered(template, **values):
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.filters |= {
        "epochs": story.epochs_as_text,
        "typeset": typeset,
        "with_formulas": _with_formulas,
        "with_code": _with_code,
        "breakable": _breakable,
        "picture": _data_uri,
        "hashed": _hash,
    }
    return environment.get_template(template).render(
        story=story, minimax=minimax, answers=answers, **values
    )


def _differing(runs):
    """Returns the settings in which runs differ, each with its value in each run."""
    names = dict.fromkeys(name for run in runs for name in run.settings)
    values = {
        name: [run.settings.get(name) for run in runs]
        for name in names
        if name not in ("run_dir", "data_dir", "manual_dir")
    }
    return {name: row for name, row in values.items() if any(v != row[0] for v in row)}


def _sheet(grids, stride):
    """Returns grids as one picture, with their epochs: each `stride`-th one, and the last."""
    epochs = sorted(grids)[::-1][::stride][::-1]
    if not epochs:
        return {"epochs": [], "image": "data:,"}
    sheet = make_grid(np.stack([grids[epoch] for epoch in epochs])[..., None])
    return {"epochs": epochs, "image": _data_uri(sheet)}


def _data_uri(pixels):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode("ascii")


def _with_formulas(text):
    """Typesets the formulas in a sentence of part 1."""
    html = str(escape(typeset(unbroken(text, "\u00a0"))))
    return Markup(html.replace("η_x", "η<sub>x</sub>").replace("η_y", "η<sub>y</sub>"))


def _with_code(text):
    """Marks commands and flags as code, so that they do not break across lines."""
    value = r"[\d.e-]*\d|best|bfloat16"
    commands = rf"gan-tf(?: [a-z]+\b)?|(?<![\w-])--[a-z][\w-]*(?: (?:{value})\b)?"
    return Markup(re.sub(commands, r"<code>\g<0></code>", str(escape(text))))


def _breakable(name):
    """Lets a long name break after its underscores."""
    return escape(name).replace("_", Markup("_<wbr>"))


def _hash(text):
    """Returns the expression that allows an inline script or style in the page's policy."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return Markup(f"'sha256-{digest}'")
