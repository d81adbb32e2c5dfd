"""Folders of pairs: those that the binary writes, and those that are wrong."""

from __future__ import annotations

import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from conftest import SMALL, Made
from PIL import Image, PngImagePlugin

import pig_pairs
from pig_pairs import Pairs, PairsError
from pig_pairs._table import KINDS


def write_png(path: Path, values: npt.NDArray[np.uint16]) -> None:
    """A PNG with 16 bits, gray or colour, which Pillow cannot write in colour."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = values.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, 2 if values.ndim == 3 else 0, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def source(folder: Path, images: list[npt.NDArray[Any]]) -> Path:
    """A folder that nothing prepared, with the same square as the mask of all images."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for index, values in enumerate(images):
        if values.dtype == np.uint16:
            write_png(folder / "images" / f"a{index}.png", values)
        else:
            Image.fromarray(values).save(folder / "images" / f"a{index}.png")
        mask = np.zeros(values.shape[:2], dtype=np.uint8)
        mask[4:12, 8:16] = 255
        Image.fromarray(mask).save(folder / "masks" / f"a{index}.png")
    return folder


def random_images(dtype: type, shape: tuple[int, ...], count: int = 2) -> list[npt.NDArray[Any]]:
    generator = np.random.default_rng(5)
    return [generator.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype) for _ in range(count)]


def test_masks_of_several_classes(tmp_path: Path) -> None:
    """Label maps as pig writes them: the palette's index is the label, and a text names the classes."""
    folder = source(tmp_path, random_images(np.uint8, (16, 20)))
    labels = np.zeros((16, 20), dtype=np.uint8)
    labels[2:6], labels[8:12] = 1, 2
    for index, names in enumerate(['["mass", "calcification"]', '["mass"]']):
        mask = Image.fromarray(labels, mode="P")
        mask.putpalette([0, 0, 0, 230, 159, 0, 86, 180, 233])
        text = PngImagePlugin.PngInfo()
        text.add_text("classes", names)
        mask.save(folder / "masks" / f"a{index}.png", pnginfo=text)
    rows = "id,mask_pixels_mass,mask_pixels_calcification\na0,80,80\na1,,\n"
    (folder / "manifest.csv").write_text(rows)
    pairs = Pairs(folder)
    assert pairs.class_names == ("mass", "calcification")
    assert np.array_equal(pairs[0].labels(), labels) and np.array_equal(np.asarray(pairs[0].mask), labels)
    assert pairs.rows[0]["mask_pixels_calcification"] == 80 and pairs.rows[1]["mask_pixels_mass"] is None
    with pytest.raises(PairsError, match="the label 2; expected at most 1"):
        pairs[1].labels()
    text = PngImagePlugin.PngInfo()
    text.add_text("classes", "mass")
    mask.save(folder / "masks" / "a0.png", pnginfo=text)
    with pytest.raises(PairsError, match="expected a JSON list"):
        pairs[0].labels()


def test_generated_pairs(made: Made) -> None:
    pairs = Pairs(made.pairs)
    assert len(pairs) == 4 and pairs.has_masks and pairs.class_names == ("lesion",)
    assert pairs.columns[:4] == ("id", "seed", "image", "mask")
    pair = pairs[2]
    assert (pair.id, pair.seed, pair.patient, pair.slice) == ("000002", 2, None, None)
    assert pair.row["mask_pixels"] == pair.labels().sum() and pair.row["empty_mask"] is False
    assert pair.pixels().shape == (32, 32) and pair.pixels().dtype == np.uint8
    assert np.array_equal(np.asarray(pair.image), pair.pixels())
    assert np.array_equal(np.asarray(pair.mask), pair.labels()) and pair.mask.mode == "L"
    assert set(np.unique(pair.labels())) == {0, 1}
    scaled = pair.scaled()
    assert scaled.shape == (1, 32, 32) and scaled.dtype == np.float32
    assert np.array_equal(scaled[0], pair.pixels() / np.float32(255))


def test_pairs_are_a_sequence(made: Made) -> None:
    pairs = Pairs(str(made.pairs))
    assert [pair.id for pair in pairs[1:3]] == ["000001", "000002"] and isinstance(pairs[:2], Pairs)
    assert pairs[-1].id == "000003" and pairs[3] in pairs and len(set(pairs)) == 4
    assert [pair.id for pair in reversed(pairs)] == ["000003", "000002", "000001", "000000"]
    assert [pair.seed for pair in pairs.where(lambda pair: pair.seed != 1)] == [0, 2, 3]
    assert [row["seed"] for row in pairs.rows] == [0, 1, 2, 3]
    assert repr(pairs) == f"<Pairs {made.pairs}: 4>"
    with pytest.raises(IndexError):
        pairs[4]


def test_phantoms_are_joined_by_their_ids(made: Made) -> None:
    pairs = Pairs(made.data)
    assert len(pairs) == 16 and len({pair.patient for pair in pairs}) == 8
    for pair in pairs:
        assert int(str(pair.row["mass_area"] or 0)) == pair.labels().sum()
        assert pair.image_path.stem == pair.id


def test_pairs_for_given_masks_name_them(made: Made, tmp_path: Path) -> None:
    pig_pairs.sample("starter", range(2), out=tmp_path / "pairs", given_mask=made.pairs / "masks").result()
    assert [pair.row["source_mask"] for pair in Pairs(tmp_path / "pairs")] == ["000000", "000001"]


@pytest.mark.parametrize(
    ("shape", "dtype", "bits"),
    [
        ((32, 32), np.uint8, 8),
        ((32, 32, 3), np.uint8, 8),
        ((32, 32), np.uint16, 16),
        ((32, 32, 3), np.uint16, 16),
    ],
)
def test_prepared_pairs_keep_bits_and_colour(shape: tuple[int, ...], dtype: type, bits: int, tmp_path: Path) -> None:
    images = random_images(dtype, shape)
    folder = source(tmp_path / "source", images)
    unprepared = Pairs(folder)
    settings = {"prepare.size": 32, "prepare.bit_depth": bits, "prepare.window": "stored"}
    pig_pairs.call("prepare", folder, tmp_path / "prepared", set=settings).result()
    pairs = Pairs(tmp_path / "prepared")
    assert [pair.id for pair in pairs] == ["a0", "a1"]
    for pair, plain, values in zip(pairs, unprepared, images):
        assert pair.pixels().dtype == dtype
        assert np.array_equal(pair.pixels(), values) and np.array_equal(plain.pixels(), values)
        assert plain.row == {"id": pair.id} and (pair.slice, pair.slices) == (0, 1)
        assert pair.labels().sum() == plain.labels().sum() == 64 and pair.labels()[4:12, 8:16].all()
        channels = 3 if len(shape) == 3 else 1
        assert pair.scaled().shape == (channels, 32, 32)
        greatest = np.float32(np.iinfo(dtype).max)
        assert np.array_equal(pair.scaled()[channels - 1], values.reshape(32, 32, channels)[..., -1] / greatest)
        assert pair.row["height"] == 32 and pair.row["slice_spacing_mm"] is None and pair.row["turned"] is False


def test_the_types_of_columns_are_those_of_the_parquet_files(made: Made, tmp_path: Path) -> None:
    """The binary writes the same rows with types into manifest.parquet."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    settings = {"prepare.size": 32, "prepare.mask_threshold": 1}
    job = pig_pairs.call("prepare", made.data, tmp_path / "prepared", new_key=tmp_path / "key", set=settings)
    assert job.result()["description"]["pairs"] == 16
    for folder in [made.pairs, tmp_path / "prepared"]:
        table = parquet.read_table(folder / "manifest.parquet")
        kinds = {"uint64": int, "double": float, "bool": bool, "string": str}
        assert {field.name: kinds[str(field.type)] for field in table.schema} == {
            name: KINDS.get(name, str) for name in Pairs(folder).columns
        }
        for row, ours in zip(table.to_pylist(), Pairs(folder).rows):
            assert row == pytest.approx(ours), folder


def test_images_without_masks(made: Made, tmp_path: Path) -> None:
    settings = {name: value for name, value in SMALL.items() if not name.startswith(("model_x", "train.model_x"))}
    run = tmp_path / "run"
    pig_pairs.train(made.data, run, set={**settings, "method": "ddim"}).result()
    pig_pairs.sample(run, range(2), out=tmp_path / "images").result()
    pairs = Pairs(tmp_path / "images")
    assert not pairs.has_masks and pairs[0].mask_path is None and pairs[0].row["has_mask"] is False
    assert pairs[1].pixels().shape == (32, 32)
    needing: list[Callable[[], object]] = [pairs[0].labels, lambda: pairs[0].mask, pairs.torch]
    for read in needing:
        with pytest.raises(PairsError, match="mask"):
            read()
    item = pig_pairs.load(pairs.monai()[0])
    assert "label" not in item and item["image"].shape == (1, 32, 32)


def test_volumes_are_parted_into_slices(made: Made, tmp_path: Path) -> None:
    volumes = random_images(np.uint8, (32, 16), 8)
    folder = source(tmp_path / "volumes", volumes)
    settings = {**SMALL, "data.size": [32, 16], "data.slices": 2, "model_x.spatial_dims": 3, "model_y.spatial_dims": 3}
    settings["train.steps"] = settings["train.model_x_steps"] = 2
    pig_pairs.train(folder, tmp_path / "run", set=settings).result()
    pig_pairs.sample(tmp_path / "run", range(2), out=tmp_path / "pairs").result()
    whole, pairs = Pairs(tmp_path / "pairs"), Pairs(tmp_path / "pairs", slices=2)
    assert pairs[0].pixels().shape == pairs[0].labels().shape == (2, 16, 16)
    assert pairs[:1][0].scaled().shape == (1, 2, 16, 16)
    assert np.array_equal(pairs[1].pixels()[1], whole[1].pixels()[16:])
    assert pig_pairs.load(pairs.monai()[1])["label"].shape == (1, 2, 16, 16)
    colour = Pairs(source(tmp_path / "colour", random_images(np.uint8, (32, 16, 3), 1)), slices=4)
    assert colour[0].pixels().shape == (4, 8, 16, 3) and colour[0].scaled().shape == (3, 4, 8, 16)
    with pytest.raises(PairsError, match="000000.png: the height is 32; expected a multiple of slices=5"):
        Pairs(tmp_path / "pairs", slices=5)[0].pixels()
    with pytest.raises(PairsError, match="slices=0; expected 1 or more"):
        Pairs(tmp_path / "pairs", slices=0)


def test_exported_pairs(made: Made, tmp_path: Path) -> None:
    options: dict[str, Any] = {"format": "png", "real": made.data, "out": tmp_path / "png"}
    pig_pairs.call("export", made.pairs, **options).result()
    pairs = Pairs(tmp_path / "png")
    assert len(pairs) == 20 and {pair.row["origin"] for pair in pairs} == {"real", "generated"}
    assert len({pair.patient for pair in pairs.where(lambda pair: pair.row["origin"] == "real")}) == 8
    for pair in pairs:
        assert pair.labels().sum() == pair.row["mask_pixels"]


def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: shutil.rmtree(f), ["copy: found nothing; expected a folder that pig prepare"]),
        (lambda f: replace(f), ["copy: found a file; expected a folder"]),
        (
            lambda f: shutil.rmtree(f / "images"),
            ["manifest.csv, line 2", "000000.png does not exist; expected the file"],
        ),
        (lambda f: (f / "masks/000002.png").unlink(), ["manifest.csv, line 4", "masks/000002.png does not exist"]),
        (
            lambda f: edit(f, "images/000001.png", "../copy/x.png"),
            ["line 3", "'../copy/x.png'; expected a path inside"],
        ),
        (lambda f: edit(f, "masks/000001.png", ""), ["line 3: the column 'mask' is ''; expected a path inside"]),
        (lambda f: edit(f, "images/000001.png", "images/000000.png"), ["line 3", "is listed twice; expected one row"]),
        (lambda f: edit(f, "\n000001,", "\n000000,"), ["line 3: the id '000000' is that of line 2"]),
        (
            lambda f: edit(f, "\n000001,1,", "\n000001,one,"),
            ["line 3: the column 'seed' is 'one'; expected a whole number"],
        ),
        (
            lambda f: edit(f, ",false,pig", ",maybe,pig"),
            ["line 2: the column 'empty_mask' is 'maybe'; expected true or"],
        ),
        (lambda f: edit(f, "id,seed", "seed,seed"), ["line 1: found the column 'seed' twice"]),
        (
            lambda f: edit(f, "id,seed,image,mask", "a,b,c,d"),
            ["found the columns a, b, c, d", "expected a column id or image"],
        ),
        (lambda f: edit(f, "\n000001,", "\n"), ["line 3: found 12 fields; expected 13"]),
        (lambda f: edit(f, '"{""given', '"{"given'), ["manifest.csv, line 2", "expected a table"]),
        (lambda f: (f / "manifest.csv").write_bytes(b"id,image\n\xff,a"), ["byte 9 is not UTF-8; expected a table"]),
        (lambda f: (f / "manifest.csv").write_text(""), ["line 1: found the columns []"]),
        (lambda f: edit(f, ",mask,", ",has_mask,"), ["line 2: the column 'has_mask' is 'masks/000000.png'"]),
    ],
)
def test_damaged_folders_are_errors(change: Any, said: list[str], made: Made, tmp_path: Path) -> None:
    folder = copy(made.pairs, tmp_path)
    change(folder)
    with pytest.raises(PairsError) as caught:
        Pairs(folder)
    assert all(part in str(caught.value) for part in said), str(caught.value)


def replace(folder: Path) -> None:
    """A file in place of the folder."""
    shutil.rmtree(folder)
    folder.touch()


def edit(folder: Path, old: str, new: str) -> None:
    """Replaces the first such text in the manifest."""
    path = folder / "manifest.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_folders_without_a_manifest(made: Made, tmp_path: Path) -> None:
    folder = copy(made.pairs, tmp_path)
    (folder / "manifest.csv").unlink()
    assert [pair.id for pair in Pairs(folder)] == ["000000", "000001", "000002", "000003"]
    shutil.copy(folder / "masks/000001.png", folder / "masks/extra.png")
    with pytest.raises(PairsError, match=r"extra.png: found no image of the same stem; expected .*images/extra.png"):
        Pairs(folder)
    for name in ["extra", "000000", "000001"]:
        (folder / "masks" / f"{name}.png").unlink()
    with pytest.raises(PairsError, match=r"000000.png: found no mask of the same stem.*\(and 1 more"):
        Pairs(folder)
    twin = folder / "images/000002.bmp"
    shutil.copy(folder / "images/000002.png", twin)
    with pytest.raises(PairsError, match="has the same stem; expected one picture of each stem"):
        Pairs(folder)
    twin.unlink()
    shutil.rmtree(folder / "masks")
    with pytest.raises(PairsError, match="found images, manifest.parquet; expected masks/"):
        (folder / ".manifest.lock").unlink()
        Pairs(folder)
    shutil.rmtree(folder / "images")
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    with pytest.raises(PairsError, match="found no pair"):
        Pairs(folder)


def test_a_run_is_no_folder_of_pairs(made: Made) -> None:
    with pytest.raises(PairsError, match=r"found .*checkpoints, config.toml.*; expected images/"):
        Pairs(made.run)


def test_what_is_not_listed_is_told(made: Made, tmp_path: Path) -> None:
    folder = copy(made.pairs, tmp_path)
    lines = (folder / "manifest.csv").read_text().splitlines(keepends=True)
    (folder / "manifest.csv").write_text("".join(lines[:3]))
    with pytest.warns(UserWarning, match="does not list 2 of the pictures") as caught:
        assert len(Pairs(folder)) == 2
    assert caught[0].filename == __file__
    (folder / "manifest.csv").write_text("id;patient\n000001.png;p1\n\n000009;p2\n")
    with pytest.warns(UserWarning) as caught:
        pairs = Pairs(folder)
    assert [pair.patient for pair in pairs] == [None, "p1", None, None]
    assert "1 rows match no picture" in str(caught[0].message) and "3 pictures have no row" in str(caught[1].message)
    assert {warning.filename for warning in caught} == {__file__}


def test_damaged_pictures_are_errors(made: Made, tmp_path: Path) -> None:
    folder = copy(made.pairs, tmp_path)
    pair = Pairs(folder)[1]
    whole = pair.image_path.read_bytes()
    for damaged, said in [
        (whole[: len(whole) // 2], "cannot be read as a picture"),
        (b"no picture", "cannot be read as a picture"),
    ]:
        pair.image_path.write_bytes(damaged)
        readers: list[Callable[[], object]] = [pair.pixels, pair.scaled, lambda: pair.image]
        for read in readers:
            with pytest.raises(PairsError, match=said) as caught:
                read()
            assert str(pair.image_path) in str(caught.value)
    pair.image_path.unlink()
    with pytest.raises(PairsError, match="there is no such file"):
        pair.pixels()
    Image.new("RGBA", (32, 32)).save(pair.image_path)
    with pytest.raises(PairsError, match="the pixels are RGBA; expected gray or RGB"):
        pair.pixels()


def test_wrong_masks_are_errors(made: Made, tmp_path: Path) -> None:
    folder = copy(made.pairs, tmp_path)
    pair = Pairs(folder)[0]
    assert pair.mask_path is not None
    ramp = np.arange(32 * 32, dtype=np.uint8).reshape(32, 32)
    for picture, said in [
        (Image.fromarray(ramp), r"the mask has the values 0, 1, 2, 3, 4, 5, 6, 7, \.\.\.; expected 0 and one other"),
        (Image.fromarray(np.full((32, 32), 7, np.uint8)), "the mask has the values 7; expected 0 and one other"),
        (Image.new("RGB", (32, 32)), "the pixels of the mask are RGB; expected gray"),
        (Image.new("L", (31, 32)), "the mask has 32 x 31 pixels; expected 32 x 32 as its image has"),
    ]:
        picture.save(pair.mask_path)
        with pytest.raises(PairsError, match=said) as caught:
            pair.labels()
        assert str(pair.mask_path) in str(caught.value)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0, 0], [0, 0]), ([0, 1], [0, 1]), ([0, 255], [0, 1]), ([255, 255], [1, 1]), ([1, 1], [1, 1]), ([9, 0], [1, 0])],
)
def test_two_values_are_background_and_lesion(values: list[int], expected: list[int], tmp_path: Path) -> None:
    folder = source(tmp_path / "pair", [np.zeros((1, 2), np.uint8)])
    Image.fromarray(np.array([values], np.uint8)).save(folder / "masks/a0.png")
    assert Pairs(folder)[0].labels().tolist() == [expected]


def test_other_kinds_of_pictures(tmp_path: Path) -> None:
    folder = source(tmp_path / "pair", random_images(np.uint8, (8, 8), 1))
    pair = Pairs(folder)[0]
    colours = random_images(np.uint8, (8, 8, 3), 1)[0] // 128 * 255
    Image.fromarray(colours).convert("P", palette=Image.Palette.ADAPTIVE).save(pair.image_path)
    assert pair.pixels().shape == (8, 8, 3)
    bits = np.eye(8, dtype=bool)
    Image.fromarray(bits).save(pair.image_path)
    assert np.array_equal(pair.pixels(), bits * 255)
    assert pair.mask_path is not None
    Image.fromarray(bits).save(pair.mask_path)
    assert np.array_equal(pair.labels(), bits)
    write_png(pair.mask_path, (bits * 65535).astype(np.uint16))
    assert np.array_equal(pair.labels(), bits)
