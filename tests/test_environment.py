import json
import os

import tensorflow as tf

from gan_tf import environment


def test_what_a_run_was_computed_on_is_in_its_config(small_run):
    recorded = json.loads((small_run / "config.json").read_text())["environment"]
    assert recorded["tensorflow"] == tf.__version__
    assert recorded["threads"] == len(os.sched_getaffinity(0))
    assert recorded["onednn"] is True
    assert set(environment.DECIDING) <= recorded.keys()
    assert recorded == environment.describe()


def test_the_onednn_setting_is_recorded(monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert environment.describe()["onednn"] is False
