import io
import json
import os
import subprocess
import sys

import pytest
from helpers import ROOT

from gan_tf import UserError
from gan_tf.system import console

ROW = {
    "epoch": 3,
    "generator_loss": 0.8123,
    "discriminator_loss": 1.2,
    "real_probability": 0.625,
    "fake_probability": 0.4,
    "seconds": 150.04,
    "images_per_second": 399.9,
}


@pytest.mark.parametrize(
    "epochs, left", [(3, ""), (4, ", 2 min 30 s left"), (50, ", 1 h 57 min left")]
)
def test_a_line_per_epoch_says_how_it_went_and_how_long_it_takes(capsys, epochs, left):
    console.print_epoch(ROW, epochs)
    assert capsys.readouterr().out == (
        f"epoch  3/{epochs}: generator 0.812, discriminator 1.200, D(x) 0.62, D(G(z)) 0.40,"
        f" 150.0 s, 400 images/s{left}\n"
    )


def test_json_has_null_for_what_is_no_number(capsys):
    """As no other parser takes NaN."""
    console.say_json({"a": [1.5, float("nan")], "b": (float("inf"), True, None, "NaN", 3)})
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
        "a": [1.5, None],
        "b": [None, True, None, "NaN", 3],
    }


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a disk always full")
@pytest.mark.parametrize("output, reason", [("/dev/full", "No space left"), ("&-", "Bad file")])
def test_output_that_cannot_be_written_ends_a_command_in_one_line(output, reason):
    """Not with exit code 0, as if the answers had reached the file."""
    finished = subprocess.run(
        ["sh", "-c", f'"$@" >{output}', "sh", sys.executable, "-m", "gan_tf", "minimax", "--json"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert finished.returncode == 1
    assert finished.stderr.count("\n") == 1
    assert f"cannot write to standard output: {reason}" in finished.stderr


@pytest.mark.parametrize(
    "encoding, shown",
    [("utf-8", "Fréchet −1: Ł"), ("latin-1", "Frechet -1: ?"), ("ascii", "Frechet -1: ?")],
)
def test_what_an_output_cannot_write_has_a_stand_in(monkeypatch, encoding, shown):
    content = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(content, encoding, newline="\n"))
    console.say("Fréchet −1: Ł")
    assert content.getvalue().decode(encoding) == f"{shown}\n"


def test_keras_2_is_refused_by_the_name_of_the_variable(monkeypatch):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    with pytest.raises(UserError, match="TF_USE_LEGACY_KERAS selects Keras 2"):
        console.import_tensorflow()
