"""Which files of a folder are pairs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Callable, NamedTuple

from . import _table
from ._errors import PairsError
from ._table import Row, Table, Value

_IMAGES = ("images",)
_MASKS = ("masks", "labels")
_ENDINGS = (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg")


class Entry(NamedTuple):
    """A pair's files and its row of the manifest."""

    id: str
    image: Path
    #: None if the folder has no masks.
    mask: Path | None
    row: Mapping[str, Value]


class Folder(NamedTuple):
    """A folder of pairs."""

    columns: tuple[str, ...]
    entries: tuple[Entry, ...]


def read_folder(root: Path) -> Folder:
    """The pairs of a folder that ``pig prepare``, ``pig sample``, ``pig export --format png`` or ``pig demo`` wrote, or of
    one with ``images/`` and ``masks/`` of the same stems.

    Raises:
        PairsError: the folder is something else, a file is missing, or the manifest is damaged.
    """
    if not root.is_dir():
        found = "a file" if root.exists() else "nothing"
        raise PairsError(f"{root}: found {found}; expected a folder that pig prepare or pig sample wrote")
    table = _manifest(root)
    if table is None:
        folder = Folder((), tuple(_from_folders(root, None)))
    elif "image" in table.columns and ("mask" in table.columns or "has_mask" in table.columns):
        folder = Folder(table.columns, tuple(_from_rows(root, table)))
    else:
        folder = Folder(table.columns, tuple(_from_folders(root, table)))
    if not folder.entries:
        raise PairsError(f"{root}: found no pair; expected pictures in images/ and masks/; look at pig inspect {root}")
    return folder


def _manifest(root: Path) -> Table | None:
    path = root / _table.NAME
    if not path.exists():
        return None
    table = _table.read(path)
    if not {"id", "image"} & set(table.columns):
        found = ", ".join(table.columns)
        raise PairsError(f"{path}: found the columns {found}; expected a column id or image")
    return table


def _from_rows(root: Path, table: Table) -> list[Entry]:
    """The pairs that the manifest lists with their files."""
    files: dict[Path, None] = {}
    entries: list[Entry] = []
    for row in table.rows:
        image = _path(root, table, row, "image")
        mask = None
        if "mask" in table.columns:
            mask = _path(root, table, row, "mask")
        elif row.values["has_mask"] is not False:
            raise table.wrong(row.line, "has_mask is not false; expected a column mask that names the mask's file")
        for file in (image, mask):
            if file is not None and not file.is_file():
                raise table.wrong(row.line, f"{file} does not exist; expected the file that the manifest names")
        if image in files:
            raise table.wrong(row.line, f"{image} is listed twice; expected one row for an image")
        files[image] = None
        entries.append(Entry(str(row.values.get("id") or image.stem), image, mask, row.values))
    _refuse_twins(table, entries)
    folders = {file.parent for file in files}
    unlisted = sum(path not in files for folder in folders for path in _pictures(folder))
    if unlisted:
        warnings.warn(
            f"{table.path} does not list {unlisted} of the pictures beside those that it lists; they are left out. If pig "
            "was stopped, the same command goes on and lists them",
            stacklevel=4,
        )
    return entries


def _refuse_twins(table: Table, entries: Sequence[Entry]) -> None:
    lines: dict[str, int] = {}
    for entry, row in zip(entries, table.rows):
        first = lines.setdefault(entry.id, row.line)
        if first != row.line:
            raise table.wrong(row.line, f"the id {entry.id!r} is that of line {first}, too; expected an id once")


def _path(root: Path, table: Table, row: Row, column: str) -> Path:
    """The file that a cell names, which must lie in the folder."""
    cell = str(row.values[column])
    relative = Path(cell.replace("\\", "/"))
    if not cell or relative.is_absolute() or relative.drive or ".." in relative.parts:
        raise table.wrong(row.line, f"the column {column!r} is {cell!r}; expected a path inside {root}")
    return root / relative


def _from_folders(root: Path, table: Table | None) -> list[Entry]:
    """The pictures of ``images/`` with those of ``masks/`` that have the same stems; rows are joined by their ids."""
    images, masks = _by_stem(root, _IMAGES), _by_stem(root, _MASKS)
    _partners(images, masks, lambda stem: root / _MASKS[0] / f"{stem}.png", "mask")
    _partners(masks, images, lambda stem: root / _IMAGES[0] / f"{stem}.png", "image")
    rows = {} if table is None else _rows_by_id(table)
    if table is not None:
        _warn_of_strangers(table, rows, images)
    entries = []
    for stem in sorted(images):
        row = rows.get(stem)
        entries.append(Entry(stem, images[stem], masks[stem], {"id": stem} if row is None else row.values))
    return entries


def _partners(ours: Mapping[str, Path], theirs: Mapping[str, Path], expected: Callable[[str], Path], what: str) -> None:
    alone = sorted(set(ours) - set(theirs))
    if alone:
        more = f" (and {len(alone) - 1} more pictures lack theirs)" if len(alone) > 1 else ""
        raise PairsError(f"{ours[alone[0]]}: found no {what} of the same stem; expected {expected(alone[0])}{more}")


def _rows_by_id(table: Table) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for row in table.rows:
        name = str(row.values["id"] if "id" in table.columns else row.values["image"])
        if Path(name).suffix.lower() in _ENDINGS or "id" not in table.columns:
            name = Path(name.replace("\\", "/")).stem
        if name in rows:
            raise table.wrong(row.line, f"the id {name!r} is that of line {rows[name].line}, too; expected an id once")
        rows[name] = row
    return rows


def _warn_of_strangers(table: Table, rows: Mapping[str, Row], images: Mapping[str, Path]) -> None:
    for count, what in [
        (len(set(rows) - set(images)), "rows match no picture and are left out"),
        (len(set(images) - set(rows)), "pictures have no row, so that only their ids are known"),
    ]:
        if count:
            warnings.warn(f"{table.path}: {count} {what}", stacklevel=5)


def _by_stem(root: Path, names: Sequence[str]) -> dict[str, Path]:
    """The pictures of the first of these folders that is there, by their stems."""
    for name in names:
        if (root / name).is_dir():
            found: dict[str, Path] = {}
            for path in _pictures(root / name):
                first = found.setdefault(path.stem, path)
                if first != path:
                    raise PairsError(f"{path}: {first.name} has the same stem; expected one picture of each stem")
            return found
    there = ", ".join(sorted(path.name for path in root.iterdir())[:10]) or "nothing"
    raise PairsError(
        f"{root}: found {there}; expected {names[0]}/, or a {_table.NAME} with the columns image and mask; "
        "pig prepare makes such a folder"
    )


def _pictures(folder: Path) -> list[Path]:
    """The pictures of a folder, sorted, without the hidden files of unfinished writes."""
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in _ENDINGS and not path.name.startswith(".")
    )
