"""Two folders that hold the same bytes: each row has a fate, a history and decisions of its own."""

import json

import pyarrow.parquet as pq
import pytest

from pipelines import cli

ROWS = 20
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
name: twins
schema:
  - name: twins
    properties:
      - {name: n, logicalType: integer}
      - {name: day, logicalType: string, partitioned: true}
customProperties:
  - {property: assay.checks, value: {shape: "off", pii: "off", outliers: "off", poison: "off"}}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a folder with a run over two equal files, and a release without one row of each."""
    folder = tmp_path_factory.mktemp("twins")
    for day in ("a", "b"):
        place = folder / f"data/day={day}"
        place.mkdir(parents=True)
        (place / "p.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(ROWS)))
    (folder / "c.yaml").write_text(CONTRACT)
    (folder / "d.csv").write_text(f"row,decision\n3,reject\n{ROWS + 5},reject\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("CONFIG", "STATE"):
            patch.setenv(f"XDG_{name}_HOME", str(folder / name))
        patch.setenv("ASSAY_STORE", str(folder / "store"))
        assert cli.main(["run", "c.yaml", "--source", "data", "--direct"]) == 0
        assert cli.main(["review", "1", "--apply", "d.csv"]) == 0
        assert cli.main(["release", "1"]) == 0
        yield folder


@pytest.fixture
def store(home, monkeypatch):
    """Return the store, for the commands of one test."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "CONFIG"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "STATE"))
    monkeypatch.setenv("ASSAY_STORE", str(home / "store"))
    return home / "store"


def test_a_release_leaves_out_the_rows_that_were_rejected_and_no_others(store):
    clean = pq.read_table(max((store / "runs").iterdir()) / "clean").to_pylist()
    wanted = [(day, n) for day in "ab" for n in range(ROWS) if (day, n) not in {("a", 3), ("b", 5)}]
    assert [(row["day"], row["n"]) for row in clean] == wanted


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(("row", "fate"), [(3, "rejected"), (ROWS + 3, "clean")])
def test_each_row_has_its_own_story(capsys, row, fate):
    assert cli.main(["explain", "latest", str(row), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(item["row"], item["fate"]) for item in told["runs"]] == [(row, "clean"), (row, fate)]


@pytest.mark.usefixtures("store")
def test_a_place_in_a_file_is_a_row(capsys):
    assert cli.main(["explain", "1", f"clean/part-00000.parquet:{ROWS + 7}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["row"] == ROWS + 7


@pytest.mark.usefixtures("store")
def test_the_ledger_holds_and_a_comparison_is_refused(capsys):
    assert cli.main(["verify"]) == 0
    assert cli.main(["diff", "1", "latest"]) == 2
    assert "ASSAY-C014" in capsys.readouterr().err
