"""Files beside the table: what is missing, damaged, elsewhere or twice, and near misses."""

import dataclasses
import os
import struct
import zlib

import numpy as np
import pyarrow as pa
import pytest
from rows_with_roles import contract_of, judged, rows_by_rule, shards_of

from checks.contract.loader import load
from checks.files import Files, file_types
from checks.kit.protocol import Context
from provenance.base.errors import AssayError

ROLES = {"path": "file", "y": "label"}
ENDS = b"\x00\x00\x00\x00IEND\xaeB`\x82"


def png(seed, size=400):
    body = np.random.default_rng(seed).bytes(size)
    head = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    chunks = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", head), (b"IDAT", body))
    )
    return b"\x89PNG\r\n\x1a\n" + chunks + ENDS


@pytest.fixture
def home(tmp_path):
    (tmp_path / "img").mkdir()
    for n in range(60):
        (tmp_path / "img" / f"{n}.png").write_bytes(png(n))
    return tmp_path


def run(home, names, sizes=(), labels=None, **options):
    labels = pa.array(labels or ["a", "b"] * (len(names) // 2), pa.string())
    table = pa.table({"path": pa.array(names, pa.string()), "y": labels})
    found, model = judged(Files, table, sizes, more={"folder": str(home)}, **ROLES, **options)
    return rows_by_rule(found), model, found


def names(count=60):
    return [f"img/{n}.png" for n in range(count)]


def test_each_fault_has_its_rule(home):
    img, given = home / "img", names()
    outside = home.parent / "outside.png"
    outside.write_bytes(png(1))
    (img / "3.png").unlink()
    (img / "4.png").write_bytes(b"")
    (img / "5.png").write_bytes(b"<!DOCTYPE html><html>404</html>")
    (img / "6.png").write_bytes(png(6)[:200])
    (img / "7.png").unlink()
    (img / "7.png").symlink_to(outside)
    (img / "8.png").unlink()
    (img / "8.png").symlink_to("9.png")
    os.mkfifo(img / "pipe.png")
    given[10:22] = [
        "../outside.png", str(outside), "img/../../outside.png", "s3://bucket/a.png", "img",
        "img/pipe.png", "img/11.png/x.png", str(img / "12.png"), "./img/13.png", None, "",
        "img/nul\x00.png",
    ]  # fmt: skip
    found, model, table = run(home, given)
    assert found == {
        "files.missing": [3, 16],
        "files.empty": [4],
        "files.type": [5],
        "files.cut": [6],
        "files.irregular": [7, 8, 14, 15],
        "files.outside": [10, 11, 12, 20, 21],
        "files.url": [None],
    }
    assert "outside" not in " ".join(table["evidence"].to_pylist()).replace("leads out", "")
    assert "59 paths" in model.notes[0]
    for sizes in [(20,), (0, 7, 30)]:
        assert run(home, given, sizes)[2].equals(table)


def test_copies_sizes_and_labels(home):
    img = home / "img"
    (img / "20.png").write_bytes(png(21))
    (img / "31.png").write_bytes(png(30))
    (img / "40.png").write_bytes(png(40, 400_000))
    given = names()
    given[50] = given[52]  # the same file in two rows is no copy
    labels = ["a", "b"] * 30
    labels[20] = "b"
    found, *_ = run(home, given, labels=labels)
    assert found == {"files.copy": [21], "files.conflict": [30, 31], "files.size": [40]}


def test_a_folder_without_the_files_is_one_error_and_holds_no_row(home):
    found, *_ = run(home / "img", names())
    assert found == {"files.missing": [None]}


def test_no_folder_and_no_files():
    with pytest.raises(AssayError, match="K003"):
        run("", names())
    assert run("", [])[0] == {}


def test_contents_need_not_be_read(home):
    (home / "img" / "1.png").write_bytes(png(0))
    table = pa.table({"path": names()})

    contract = contract_of(table, path="file")
    contract = dataclasses.replace(contract, checks={"files": {"contents": False}})
    check = Files(Context(contract, table.schema, 60, folder=str(home)))
    model = check.finish(check.fit(shards_of(table, contract)[0]))
    assert all(len(rows) == 0 for *_, rows in model.rows["path"])


@pytest.mark.parametrize(
    ("extension", "head", "is_other"),
    [
        ("jpg", b"\xff\xd8\xff\xe0", False),
        ("jpg", b"\x89PNG\r\n\x1a\n", True),
        ("jpg", b"", True),
        ("webp", b"RIFF\x10\x00\x00\x00WEBPVP8 ", False),
        ("wav", b"RIFF\x10\x00\x00\x00WEBPVP8 ", True),
        ("mp3", b"\xff\xfb\x90\x00", False),
        ("docx", b"PK\x03\x04", False),
        ("pdf", b"<html>", True),
        ("txt", b"plain", False),
        ("txt", b"a\x00b", True),
        ("txt", b"\xff\xfea\x00", False),
        ("unknown", b"\x00", False),
        ("", b"\x00", False),
    ],
)
def test_types_are_told_by_content(extension, head, is_other):
    assert file_types.is_other(extension, head) is is_other


HEAD = """
apiVersion: v3.1.0
kind: DataContract
name: t
customProperties: [{property: assay.files, value: {root: ROOT}}]
schema:
  - name: t
    properties:
      - {name: path, customProperties: [{property: assay.role, value: file}]}
"""


@pytest.mark.parametrize(("root", "code"), [("img", None), ("..", "C010"), ("s3://x", "C010"),
                                            ("/etc", "C010"), ("3", "C005")])  # fmt: skip
def test_the_contract_names_the_folder(tmp_path, root, code):
    (tmp_path / "c.yaml").write_text(HEAD.replace("ROOT", root))
    if code:
        with pytest.raises(AssayError, match=code):
            load(tmp_path / "c.yaml")
        return
    contract = load(tmp_path / "c.yaml")
    assert contract.files_root == str(tmp_path / "img")
    assert "path" not in contract.features
    text = HEAD.replace("ROOT", "img").replace("name: path,", "name: path, logicalType: integer,")
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(AssayError, match="C008"):
        load(tmp_path / "c.yaml")
