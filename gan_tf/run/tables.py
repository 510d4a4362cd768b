"""The CSV tables of a run, in which a missing value is an empty cell."""

import csv
import math

from gan_tf.system import files
from gan_tf.system.errors import UserError

# The columns that hold whole numbers, and those that hold text.
_WHOLE_NUMBERS = {"epoch", "step", "images", "memorised", "kept_as_best"}
_TEXTS = {"classifier"}


def read_table(path) -> list[dict] | None:
    """Returns the rows of a CSV file with a header; no rows if the file does not exist.

    A spreadsheet program may have saved the file: with a byte order mark, or with semicolons
    between cells and decimal commas.

    Returns:
      A dict for each row, in which a cell that is empty or NaN is None; or None if
      the file is not such a table.

    Raises:
      UserError: the file cannot be read.
    """
    rows = []
    try:
        lines = files.read_text(path).removeprefix("\ufeff").splitlines()
        semicolons = ";" in "".join(lines[:1])
        for cells in csv.DictReader(lines, delimiter=";" if semicolons else ","):
            if None in cells or None in cells.values():  # longer or shorter than the header
                return None
            if semicolons:
                cells = {name: cell.replace(",", ".") for name, cell in cells.items()}
            rows.append({name: _value(name, cell) for name, cell in cells.items()})
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, csv.Error):
        return None
    return rows


def write_table(path, rows: list[dict]):
    """Writes rows below a header with all their keys."""
    columns = dict.fromkeys(name for row in rows for name in row)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def best_epoch(rows: list[dict]) -> int | None:
    """Returns the epoch with the lowest FCD among rows of evaluation.csv, or None."""
    return min(rows, key=lambda row: row["fcd"])["epoch"] if rows else None


def _value(name, cell):
    if name in _TEXTS:
        return cell or None
    number = float(cell) if cell else math.nan
    if math.isnan(number):
        return None
    if math.isinf(number) or (name in _WHOLE_NUMBERS and not number.is_integer()):
        raise ValueError(f"{name} is {cell}")
    return int(number) if name in _WHOLE_NUMBERS else number
