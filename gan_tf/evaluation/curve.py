"""The quality of a run, epoch by epoch: evaluation.csv, quality.png, and the best snapshot.

All rows of evaluation.csv are measured with the same number of images and the same classifier, as
other scores cannot be compared, and on the generator of the samples in the run's folder.
"""

import warnings

from gan_tf.config import TrainConfig
from gan_tf.evaluation.evaluate import (
    COUNT,
    check_numbers,
    evaluate_snapshot,
    load_references,
    with_data_folders,
)
from gan_tf.run import artifacts, checkpoints
from gan_tf.run.rundir import RunDir
from gan_tf.run.tables import best_epoch
from gan_tf.snapshots import Snapshot, load_snapshot
from gan_tf.system import console
from gan_tf.system.errors import UserError


class QualityCurve:
    """Measures a run during training, and keeps the snapshot of its best epoch.

    Args:
      run: the run.
      config: settings of the run.

    Raises:
      UserError: as for `load_references`.
    """

    def __init__(self, run: RunDir, config: TrainConfig):
        self.run, self.config = run, config
        self.references = load_references(config)
        self.rows: list[dict] = []

    def resume(self):
        """Reads the rows of earlier epochs, before an epoch is trained that might be lost.

        Raises:
          UserError: evaluation.csv is damaged, or was measured in another way.
        """
        self.rows = self.run.read_evaluation()
        if not _are_comparable(self.rows, COUNT, self.references.classifier.id):
            raise UserError(
                f"{self.run.evaluation_path} was measured with another number of images than"
                f" {COUNT}, or by another classifier than {self.references.classifier.id}:"
                " measure its epochs again (gan-tf evaluate --all-epochs), move it away, or leave"
                " out `evaluate_every`"
            )

    def add(self, snapshot: Snapshot, save_snapshot) -> dict:
        """Measures the generator after an epoch.

        The snapshot of a new best epoch is saved before the table is written, and the previous one
        is removed after that. So the best epoch in the table has a snapshot whenever the process is
        killed. A snapshot that the user requested is never removed.

        Args:
          snapshot: the generator of the epoch; its files exist if the user requested them.
          save_snapshot: called with the epoch if it is the best so far.

        Returns:
          The numbers of the new row of evaluation.csv.
        """
        epoch, requested = snapshot.epoch, {*self.config.snapshot_epochs, self.config.epochs}
        row = as_row(evaluate_snapshot(snapshot, COUNT, references=self.references))
        self.rows = [*(row for row in self.rows if row["epoch"] < epoch), row]
        existing = {*self.run.snapshot_epochs(), epoch}
        best = best_epoch([row for row in self.rows if row["epoch"] in existing])
        # Recorded, as the run may resume with other `snapshot_epochs`.
        row["kept_as_best"] = int(epoch == best)
        for other in self.rows:
            if other["epoch"] in requested:
                other["kept_as_best"] = 0
        if row["kept_as_best"]:
            save_snapshot(epoch)
        self.run.write_evaluation(self.rows)
        for other in self.rows:
            if other.get("kept_as_best") and other["epoch"] != best:
                checkpoints.remove_snapshot(self.run, other["epoch"])
        with artifacts.only_warned_of():
            artifacts.write_quality(self.run)
        return {
            name: value for name, value in row.items() if name not in ("classifier", "kept_as_best")
        }


def evaluate_run(
    run_dir,
    count: int = COUNT,
    seed: int = 0,
    averaged: bool = True,
    data_dir=None,
    manual_dir=None,
) -> list[dict]:
    """Measures every snapshot of a run, and writes the results into its evaluation.csv.

    Rows of epochs without a snapshot stay in the table. If the new results cannot be compared with
    them, the table is not changed, with a warning.

    Args:
      run_dir: folder of the run, which no other process may be training.
      averaged: as for `load_snapshot`.
      count, seed, data_dir, manual_dir: as for `evaluate_snapshot`.

    Returns:
      A list of what `evaluate_snapshot` returns, in the order of the epochs.

    Raises:
      UserError: as for `evaluate_snapshot`; or there is no snapshot, or evaluation.csv is damaged.
    """
    check_numbers(count, seed)
    run = RunDir(run_dir)
    config, _ = run.read_config()
    if not (epochs := run.snapshot_epochs()):
        raise UserError(f"{run.snapshots} contains no snapshot yet")
    with run.locked():
        rows = {row["epoch"]: row for row in run.read_evaluation()}
        references = load_references(with_data_folders(config, data_dir, manual_dir))
        lost = [row for epoch, row in rows.items() if epoch not in epochs]
        comparable = averaged or not config.ema_decay
        comparable = comparable and _are_comparable(lost, count, references.classifier.id)
        if not comparable:
            warnings.warn(
                f"{run.evaluation_path} is not changed: it is of the averaged generator, or has"
                " epochs that cannot be measured again with this classifier and number of images"
            )
        results = []
        for epoch in console.bar(epochs, "epochs"):
            snapshot = load_snapshot(run_dir, epoch, averaged)
            results.append(evaluate_snapshot(snapshot, count, seed, references=references))
        if comparable:
            for row in map(as_row, results):
                rows[row["epoch"]] = rows.get(row["epoch"], {}) | row
            run.write_evaluation(sorted(rows.values(), key=lambda row: row["epoch"]))
            artifacts.write_quality(run)
    return results


def as_row(result: dict) -> dict:
    """Returns a result as a row of evaluation.csv, with a column for each class share."""
    shares = {f"share_{index}": share for index, share in enumerate(result["class_shares"])}
    scalars = {name: value for name, value in result.items() if not isinstance(value, list)}
    return scalars | shares | {"memorised": int(result["memorised"])}


def _are_comparable(rows, count, classifier):
    """Returns whether rows have this count and classifier; version 2.0 recorded no classifier."""
    return all(
        row.get("images") == count and row.get("classifier") in (None, classifier) for row in rows
    )
