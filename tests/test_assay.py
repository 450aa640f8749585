"""The public face: what `import assay` offers, and nothing more."""

import ast
import inspect
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import assay

ROOT = Path(__file__).parents[1]
HEAVY = {"pandas", "great_expectations", "prefect", "sklearn", "cleanlab", "presidio_analyzer",
         "pyarrow", "numpy", "duckdb", "rich", "scipy", "yaml"}  # fmt: skip
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
name: sizes
version: 1.0.0
servers:
  - {server: here, type: local, path: own.csv, format: csv}
schema:
  - name: sizes
    properties:
      - {name: id, logicalType: integer}
      - {name: size, logicalType: number, logicalTypeOptions: {minimum: 0}}
customProperties:
  - {property: assay.policy, value: {max_quarantine_share: 0.5}}
"""
ROWS = {"id": range(40), "size": [-1.0 if n == 7 else n / 2 for n in range(40)]}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a contract, two files, and a store with one run, of a frame."""
    folder = tmp_path_factory.mktemp("assay")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        (folder / "contract.yaml").write_text(CONTRACT)
        for name, first in (("own.csv", 0), ("more.csv", 40)):
            lines = [f"{n},{n / 2}" for n in range(first, first + 40)]
            (folder / name).write_text("\n".join(["id,size", *lines, ""]))
        made = assay.run(pd.DataFrame(ROWS), folder / "contract.yaml", store=folder / "store")
        assert (made.entry.seq, made.verdict.word) == (1, "pass")
    return folder


@pytest.fixture(autouse=True)
def own_key(home, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))


def test_all_names_what_is_public_and_everything_public_is_documented():
    own = {
        name for name, item in vars(assay).items()
        if getattr(item, "__module__", "") == "assay" and not name.startswith("_")
    }  # fmt: skip
    assert set(assay.__all__) == own | {"AssayError", "__version__"}
    assert assay.__version__ == metadata.version("assay")
    for name in own:
        item = getattr(assay, name)
        assert item.__doc__
        if inspect.isfunction(item):
            assert {"Args:", "Returns:", "Raises:", "Example:"} <= set(item.__doc__.split())
    with pytest.raises(AttributeError):
        assay.nothing  # noqa: B018


def test_importing_it_loads_nothing_heavy():
    code = "import sys, assay; assay.__version__; print(*{n.split('.')[0] for n in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert not HEAVY & set(done.stdout.split())


def test_nothing_below_imports_it():
    for folder in ("pipelines", "checks", "provenance"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module] if isinstance(node, ast.ImportFrom) else []
                assert "assay" not in names, path


def test_a_frame_comes_back_clean_with_its_reasons(home):
    last = assay.open_run(store=home / "store")
    assert (last.verdict.word, last.rows.clean, last.rows.quarantine) == ("pass", 39, 1)
    assert last.clean().schema.names == ["id", "size"]
    assert last.quarantine()["_row"].to_pylist() == [7]
    assert last.rejected().num_rows == 0
    assert 7 in last.findings()["row"].to_pylist()
    assert [path.suffix for path in last.clean_files()] == [".parquet"]
    assert last.entry.facts["inputs"][0]["name"] == "memory:pandas"


@pytest.mark.parametrize(
    ("source", "rows"),
    [(None, 40), ("own.csv", 40), (["own.csv", Path("more.csv")], 80)],
    ids=["the contract's", "a path", "several"],
)
def test_a_path_several_or_none_are_sources(home, tmp_path, monkeypatch, source, rows):
    monkeypatch.chdir(home)
    made = assay.run(
        source, "contract.yaml", store=tmp_path / "store", fail_on="error", engine="auto"
    )
    assert made.rows.clean == rows
    assert assay.open_run(1, store=tmp_path / "store").as_dict()["rows"] == made.rows.as_dict()


def test_a_run_whose_files_were_changed_does_not_open(home, tmp_path):
    made = assay.run(pd.DataFrame(ROWS), home / "contract.yaml", store=tmp_path / "store")
    [file] = made.clean_files()
    pq.write_table(pq.read_table(file).slice(1), file)
    with pytest.raises(assay.AssayError, match="L011"):
        assay.open_run(store=tmp_path / "store")
    with pytest.raises(assay.AssayError, match="L011"):
        made.clean()


@pytest.mark.parametrize("run", ["2", "none", 0])
def test_a_run_that_is_not_there_is_refused(home, run):
    with pytest.raises(assay.AssayError, match="C013"):
        assay.open_run(run, store=home / "store")


def test_a_store_that_is_not_there_is_refused_and_not_made(tmp_path):
    with pytest.raises(assay.AssayError, match="C013"):
        assay.open_run(store=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_contract_is_loaded_or_refused_with_its_line(home, tmp_path):
    contract = assay.load_contract(home / "contract.yaml")
    assert [column.name for column in contract.columns] == ["id", "size"]
    (tmp_path / "bad.yaml").write_text(CONTRACT.replace("minimum", "minimun"))
    with pytest.raises(assay.AssayError, match="C004") as caught:
        assay.load_contract(tmp_path / "bad.yaml")
    assert "bad.yaml:11" in caught.value.where


def test_a_column_that_is_text_in_some_parts_is_text_in_all():
    from pipelines.store.outcome import _joined

    joined = _joined([pa.table({"a": [1], "b": [1]}), pa.table({"a": ["x"], "b": [2]})])
    assert joined.to_pydict() == {"a": ["1", "x"], "b": [1, 2]}
