"""`assay explain RUN ROW`: from a file's row back to its source, and through every run of it."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import runs

from checks.kit import findings
from pipelines.cli import main
from pipelines.store import row_history
from pipelines.store.store import Store
from provenance.base.errors import AssayError
from provenance.ledger.run_reader import RunReader

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
name: night
schema:
  - name: night
    properties:
      - {name: key, logicalType: string, primaryKey: true}
      - {name: age, logicalType: integer}
"""
CELL = "HIDDENCELL"
OLD = [f"a{n},{n}" for n in range(6)]
NEW = [f"{CELL}{n},{n}" for n in range(4)]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Four runs: old and new file, new alone, a release of that, and both in the other order."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        (folder / "c.yaml").write_text(CONTRACT)
        old, new = folder / "old.csv", folder / "new.csv"
        old.write_text("\n".join(["key,age", *OLD]) + "\n")
        new.write_text("\n".join(["key,age", *NEW, "odd"]) + "\n")
        store = Store(folder / "store")
        held = [findings.make(np.array([2]), check="contract", rule="age.maximum", column="age")]
        runs.committed(store, folder / "c.yaml", old, new)
        runs.committed(store, folder / "c.yaml", new, found=held)
        (folder / "d.csv").write_text("row,decision\n2,release\n")
        words = ["--store", str(store.folder)]
        assert main(["review", "2", "--apply", str(folder / "d.csv"), *words]) == 0
        assert main(["release", "2", *words]) == 0
        (folder / "c.yaml").write_text(f"{CONTRACT}# edited\n")
        runs.committed(store, folder / "c.yaml", new, old)
        yield folder


@pytest.fixture(autouse=True)
def own_configuration(home, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))


@pytest.fixture
def told(home, capsys):
    def tell(run, row, store=home / "store"):
        capsys.readouterr()
        code = main(["explain", str(run), str(row), "--store", str(store), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return tell


def test_a_row_is_followed_through_every_run_of_its_file(home, told):
    code, story = told(2, 2)
    assert code == 0
    assert [(item["run"], item["kind"], item["row"], item["fate"]) for item in story["runs"]] == [
        (1, "run", 8, "clean"), (2, "run", 2, "quarantine"), (4, "release", 2, "clean"),
        (5, "run", 2, "clean"),
    ]  # fmt: skip
    assert [item["rules"] for item in story["runs"]] == [[], ["age.maximum"], ["age.maximum"], []]
    contracts = [item["contract"] for item in story["runs"]]
    assert contracts[0] == contracts[1] == contracts[2] == story["contract"]["sha256"]
    assert contracts[3] != contracts[0]
    # what was there before the other runs were told is as it was: the run and its releases
    assert [(item["run"], item["fate"]) for item in story["fates"]] == [
        (2, "quarantine"), (4, "clean"),
    ]  # fmt: skip
    assert set(story["fates"][0]) == {"run", "kind", "time", "fate", "file", "file_row"}
    for item in story["runs"]:
        part = home / "store" / "runs" / f"{item['run']:012}" / item["file"]
        assert pq.read_table(part)["key"][item["file_row"]].as_py() == f"{CELL}2"


@pytest.mark.parametrize("run", [1, 2, 4, 5])
def test_a_row_of_any_file_is_walked_back_to_its_source(home, told, run):
    folder = home / "store" / "runs" / f"{run:012}"
    source = {name: (home / name).read_bytes() for name in ("old.csv", "new.csv")}
    seen = 0
    for fate in ("clean", "quarantine", "rejected"):
        for part in sorted((folder / fate).iterdir()):
            for number, row in enumerate(pq.read_table(part).to_pylist()):
                name = f"{fate}/{part.name}:{number}"
                for place in [name, f"{part.name}:{number}"] if fate == "clean" else [name]:
                    code, story = told(run, place)
                    assert (code, story["fate"]) == (0, fate)
                    assert story["rejected"] == row.get("_reason")
                    [own] = [item for item in story["runs"] if item["run"] == run]
                    assert f"{own['file']}:{own['file_row']}" == name
                whole = source[story["source"]["name"].rpartition("/")[2]]
                span = story["source"]["bytes"]
                line = whole[span["start"] : span["end"]].decode()
                assert line == (row["_raw"].decode() if fate == "rejected" else
                                f"{row['key']},{row['age']}")  # fmt: skip
                seen += 1
    assert seen == (11 if run in (1, 5) else 5)


@pytest.mark.parametrize(
    "row", ["clean/part-00000.parquet:99", "part-00009.parquet:0",
            "quarantine/part-00000.parquet:1", f"part-00000.parquet:{'9' * 30}",
            "lineage/part-00000-clean.parquet:0", "part-00000.parquet", "part-00000.parquet:-1",
            "../part-00000.parquet:0", "99"],
)  # fmt: skip
def test_a_place_that_is_not_there_is_c013(told, row):
    code, object_ = told(2, row)
    assert (code, object_["error"]["code"]) == (2, "ASSAY-C013")


def test_the_text_tells_the_story_with_the_cells_of_the_row_asked_about(home, capsys):
    assert (
        main(["explain", "2", "quarantine/part-00000.parquet:0", "--store", f"{home}/store"]) == 0
    )
    printed = capsys.readouterr().out
    assert "row 2 of run 2: quarantine" in printed
    assert "bytes     36 up to 49 of the file" in printed
    assert "fate      run 5: clean in clean/part-00000.parquet, row 2" in printed
    assert f"key='{CELL}2'" in printed


@pytest.mark.parametrize("harm", ["changed", "gone", "a folder"])
def test_without_its_source_only_the_ordinal_is_told(home, told, harm):
    path = home / "new.csv"
    content = path.read_bytes()
    path.unlink()
    if harm == "changed":
        path.write_bytes(content.replace(b"odd", b"ODD"))
    elif harm == "a folder":
        path.mkdir()
    try:
        code, story = told(2, 1)
    finally:
        shutil.rmtree(path) if harm == "a folder" else path.unlink(missing_ok=True)
        path.write_bytes(content)
    assert code == 0
    assert (story["source"]["row"], story["source"]["bytes"]) == (1, None)
    assert "ASSAY-I0" in story["source"]["bytes_unknown"]


def test_a_run_whose_files_are_gone_hides_no_other(home, told, tmp_path):
    shutil.copytree(home / "store", tmp_path / "store")
    shutil.rmtree(tmp_path / "store" / "runs" / "000000000001")
    code, story = told(2, 2, tmp_path / "store")
    assert code == 0
    assert [item["fate"] for item in story["runs"]] == ["unknown", "quarantine", "clean", "clean"]


@pytest.mark.parametrize(
    "ask",
    [lambda files: row_history.findings_in(files, 0), lambda files: list(files.tables("findings"))],
)
def test_a_run_whose_folder_is_gone_is_told_as_that(home, tmp_path, ask):
    entry = Store(home / "store").find("1")
    with pytest.raises(AssayError, match="missing") as raised:
        ask(RunReader(tmp_path / "gone", entry))
    assert raised.value.code == "ASSAY-L011"
