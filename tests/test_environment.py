import json
import os

import pytest
import tensorflow as tf

from gan_tf import UserError, environment


def test_what_a_run_was_computed_on_is_in_its_config(small_run):
    recorded = json.loads((small_run / "config.json").read_text())["environment"]
    assert recorded["tensorflow"] == tf.__version__
    has_affinity = hasattr(os, "sched_getaffinity")  # Linux
    assert recorded["threads"] == (len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count())
    assert recorded["onednn"] is True
    assert set(environment.DECIDING) <= recorded.keys()
    assert len(recorded.pop("images_sha256")) == 64
    assert recorded == environment.describe()


def test_the_onednn_setting_is_recorded(monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert environment.describe()["onednn"] is False


def test_what_an_older_run_did_not_record_had_the_default():
    here = environment.describe()
    older = {name: here[name] for name in ("tensorflow", "threads", "onednn", "processor")}
    assert environment.differences({**here, "eager": False, "gpus": 0}, older) == []
    assert environment.differences({**here, "eager": True}, older) == ["eager is True, was False"]


@pytest.mark.parametrize(
    "name, value", [("floatx", "float64"), ("image_data_format", "channels_first")]
)
def test_other_settings_of_keras_are_refused_by_name(name, value):
    set_value = getattr(tf.keras.config, f"set_{name}")
    before = getattr(tf.keras.config, name)()
    set_value(value)
    try:
        with pytest.raises(UserError, match=f"Keras's {name} is {value}, and must be {before}"):
            environment.require_keras()
    finally:
        set_value(before)
    environment.require_keras()
