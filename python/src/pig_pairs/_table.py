"""manifest.csv: its columns and rows, with the values' types."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Callable, NamedTuple, Union

from ._errors import PairsError

#: The value of a cell; None where a number or a yes or no is not known.
Value = Union[str, int, float, bool, None]

NAME = "manifest.csv"
_SEPARATORS = ",;\t|"

_INTEGERS = (
    "seed", "slice", "slices", "mask_pixels", "source_mask_pixels", "height", "width", "source_height", "source_width",
    "crop_top", "crop_left", "crop_height", "crop_width", "resized_height", "resized_width", "pad_top", "pad_left",
    "slice_axis", "blanked_pixels", "frame",
)  # fmt: skip
_NUMBERS = (
    "mask_fraction", "pixel_height_mm", "pixel_width_mm", "source_pixel_height_mm", "source_pixel_width_mm",
    "slice_spacing_mm", "window_low", "window_high",
)  # fmt: skip
_FLAGS = ("empty_mask", "has_mask", "weak_label", "turned", "mirrored")

#: The types of the columns that pig writes; every other column is text.
KINDS: Mapping[str, type] = {
    **dict.fromkeys(_INTEGERS, int),
    **dict.fromkeys(_NUMBERS, float),
    **dict.fromkeys(_FLAGS, bool),
}


#: The beginning of columns with the pixels of a class, in folders whose masks tell several apart.
_CLASS_PIXELS = "mask_pixels_"


def kind_of(name: str) -> type:
    """The type of a column's values."""
    return KINDS.get(name, int if name.startswith(_CLASS_PIXELS) else str)


class Row(NamedTuple):
    """A row: the line in the file on which it ends, counted from 1, and its values by column."""

    line: int
    values: dict[str, Value]


class Table(NamedTuple):
    """A manifest."""

    path: Path
    columns: tuple[str, ...]
    rows: list[Row]

    def wrong(self, line: int, problem: str) -> PairsError:
        """The error for something wrong on a line."""
        return PairsError(f"{self.path}, line {line}: {problem}")


def read(path: Path) -> Table:
    """Reads a manifest: UTF-8, the fields separated by commas, semicolons, tabs or bars.

    Raises:
        PairsError: the file is no such table, a row has more or fewer fields than the first line, or a value does not
            have the type of its column.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise PairsError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PairsError(f"{path}: byte {error.start} is not UTF-8; expected a table in UTF-8") from error
    first = text.split("\n", 1)[0]
    separator = max(_SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[Row] = []
    try:
        columns = tuple(name.strip() for name in next(reader, []))
        table = Table(path, columns, rows)
        twice = {name for name in columns if columns.count(name) > 1}
        if not any(columns) or twice:
            found = f"the column {min(twice)!r} twice" if any(twice) else f"the columns {list(columns)}"
            raise table.wrong(1, f"found {found}; expected a name for every column, each once")
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append(Row(reader.line_num, _values(table, reader.line_num, [cell.strip() for cell in cells])))
    except csv.Error as error:
        raise PairsError(f"{path}, line {reader.line_num}: {error}; expected a table with quoted fields") from error
    return table


def _values(table: Table, line: int, cells: list[str]) -> dict[str, Value]:
    expected = len(table.columns)
    if len(cells) < expected or any(cells[expected:]):
        raise table.wrong(line, f"found {len(cells)} fields; expected {expected}, as the first line has")
    return {name: _value(table, line, name, cell) for name, cell in zip(table.columns, cells)}


def _value(table: Table, line: int, name: str, cell: str) -> Value:
    kind = kind_of(name)
    if kind is str:
        return cell
    if not cell:
        return None
    parse, expected = _PARSERS[kind]
    value = parse(cell)
    if value is None:
        raise table.wrong(line, f"the column {name!r} is {cell!r}; expected {expected}")
    return value


def _integer(cell: str) -> int | None:
    return int(cell) if cell.isascii() and cell.isdigit() else None


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _flag(cell: str) -> bool | None:
    return {"true": True, "false": False}.get(cell.lower())


_PARSERS: Mapping[type, tuple[Callable[[str], Value], str]] = {
    int: (_integer, "a whole number, 0 or more"),
    float: (_number, "a number"),
    bool: (_flag, "true or false"),
}
