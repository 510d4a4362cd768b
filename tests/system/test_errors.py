from gan_tf.system import errors


def test_the_command_line_spells_arguments_as_flags():
    text = "`batch_size` 6001 is larger than `max_images` 10; see `Snapshot` and history.csv"
    message = "--batch-size 6001 is larger than --max-images 10; see `Snapshot` and history.csv"
    assert errors.with_flags(text) == message


def test_another_librarys_error_fits_on_one_line():
    error = ValueError(f"\n  `inputs` {'x' * 1000}\nsecond")
    assert errors.one_line(error) == "ValueError: 'inputs' " + "x" * 151 + "..."
    error = ValueError("Pickled data. Load it with `allow_pickle=True` if you trust it.")
    assert errors.one_line(error) == "ValueError: Pickled data"
    error = ValueError("{{function_node __wrapped__RestoreV2}} TensorBundle at a/ckpt-10")
    assert errors.one_line(error) == "ValueError: TensorBundle at a/ckpt-10"
    assert errors.one_line(KeyError("SLURM_JOB_ID")) == "KeyError: 'SLURM_JOB_ID' is missing"
    assert errors.one_line(ZeroDivisionError()) == "ZeroDivisionError: "
