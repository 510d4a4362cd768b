import json
import os

import pytest
import tensorflow as tf
from tensorflow import keras

from gan_tf import UserError
from gan_tf.system import environment


def test_the_environment_of_a_run_is_in_its_config(small_run):
    recorded = json.loads((small_run / "config.json").read_text())["environment"]
    assert recorded["tensorflow"] == tf.__version__
    has_affinity = hasattr(os, "sched_getaffinity")  # Linux
    assert recorded["threads"] == (len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count())
    assert recorded["onednn"] is True
    assert set(environment.UNRECORDED) <= recorded.keys()
    assert len(recorded.pop("images_sha256")) == 64
    assert 0.1 < recorded.pop("real_variety") < 1.5
    assert recorded == environment.describe()


def test_settings_by_variables_are_recorded(monkeypatch):
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_auto_jit=2")
    assert environment.describe()["xla_flags"] == "--tf_xla_auto_jit=2"
    for value, used in [("0", False), ("1", True)]:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", value)
        described = environment.describe()
        assert (described["onednn"], described["onednn_asked"]) == (used, used)


def test_what_an_older_run_did_not_record_had_the_default():
    current = environment.describe()
    older = {name: current[name] for name in ("tensorflow", "threads", "onednn", "processor")}
    assert environment.differences({**current, "eager": False, "gpus": 0}, older) == []
    assert environment.differences({**current, "eager": True}, older) == [
        "eager is True, was False"
    ]


def test_hints_name_the_settings_that_are_slow_on_a_processor(monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    plain, half = "float32", "bfloat16"
    old, new = {"fma", "avx2"}, {"fma", "avx2", "avx512_vnni", "avx512_bf16"}
    (onednn,) = environment.hints(plain, old)
    assert "TF_ENABLE_ONEDNN_OPTS=1" in onednn
    slow, again = environment.hints(half, old)
    assert "faster with --precision float32" in slow and again == onednn
    for unknown in new, {"asimd", "bf16"}, set():
        assert environment.hints(plain, unknown) == environment.hints(half, unknown) == []
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert environment.hints(plain, old) == []


@pytest.mark.parametrize(
    "name, value", [("floatx", "float64"), ("image_data_format", "channels_first")]
)
def test_other_settings_of_keras_are_refused_by_name(name, value):
    set_value = getattr(tf.keras.config, f"set_{name}")
    before = getattr(tf.keras.config, name)()
    set_value(value)
    try:
        with pytest.raises(UserError, match=f"Keras's {name} is {value}, and must be {before}"):
            with environment.require_keras():
                pass
    finally:
        set_value(before)


def test_a_dtype_policy_of_the_users_program_is_set_aside():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        with environment.require_keras():
            assert keras.layers.Dense(1).compute_dtype == "float32"
        assert keras.layers.Dense(1).compute_dtype == "bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
