"""Every command that reads a run refuses files that are not those that its entry records."""

import contextlib
import json
import os
import shutil

import attacks
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import cli
from pipelines.store.outcome import recorded
from pipelines.store.store import Store
from provenance.base.errors import AssayError
from provenance.ledger import run_files
from provenance.ledger.run_reader import RunReader


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    made = tmp_path_factory.mktemp("recorded")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(made / "config"))
        attacks.build(made)
    (made / "one.csv").write_text("row,decision\n3,reject\n")
    return made


@pytest.fixture
def store(home, tmp_path, monkeypatch):
    """Return a copy of the store, which the commands are then asked about."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(home / "store", tmp_path / "store")
    shutil.copy(home / "one.csv", tmp_path)
    return tmp_path / "store"


COMMANDS = {
    "verify": ("verify",),
    "verify a run": ("verify", "2"),
    "review --list": ("review", "2", "--list"),
    "review --apply": ("review", "2", "--apply", "one.csv"),
    "release": ("release", "2"),
    "explain": ("explain", "2", "2"),
    "diff": ("diff", "1", "2"),
    "init --from": ("init", "--from", "2", "-o", "new.yaml"),
}
HARMS = {
    "findings without rows": attacks.findings_without_rows,
    "a link to a folder": lambda s: (attacks.run(s, 2) / "more").symlink_to(attacks.run(s, 1)),
    "a dangling link": lambda s: (attacks.run(s, 2) / "clean/more").symlink_to("nowhere"),
    "a pipe": lambda s: os.mkfifo(attacks.run(s, 2) / "findings/part-00001.parquet"),
    "a pipe for a file": lambda s: attacks.a_pipe(
        attacks.run(s, 2) / "findings/part-00000.parquet"
    ),
    "an empty folder": lambda s: (attacks.run(s, 2) / "clean/more").mkdir(),
    "a file too many": lambda s: attacks.put(attacks.run(s, 2) / "clean/part-00099.parquet"),
}


def asked(words, store, capsys):
    capsys.readouterr()
    code = cli.main([*words, "--store", str(store), "--json"])
    told = json.loads(capsys.readouterr().out)
    found = told.get("breaks") or [told["error"] or {"code": None}]
    return code, found[0]["code"]


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_reads_a_run_that_is_not_as_recorded(store, capsys, command, harm):
    HARMS[harm](store)
    entries = len(Store(store).ledger.numbers())
    assert asked(COMMANDS[command], store, capsys) == (4, "ASSAY-L011")
    assert len(Store(store).ledger.numbers()) == entries


@pytest.mark.parametrize("command", COMMANDS)
def test_each_of_them_reads_an_honest_run(store, capsys, command):
    code = cli.main([*COMMANDS[command], "--store", str(store)])
    assert code == 0, capsys.readouterr()


@pytest.mark.parametrize(
    ("file", "command"),
    [("contract.yaml", "explain"), ("contract.yaml", "review --apply"), ("lineage", "explain"),
     ("lineage", "diff"), ("rejected", "review --apply"), ("quarantine", "init --from")],
)  # fmt: skip
def test_a_file_that_a_command_reads_is_hashed(store, capsys, file, command):
    path = attacks.run(store, 2) / file
    path = path if path.is_file() else min(path.iterdir())
    content = path.read_bytes()
    path.write_bytes(content + b"\n" if file == "contract.yaml" else _rewritten(path))
    assert asked(COMMANDS[command], store, capsys) == (4, "ASSAY-L011")


def _rewritten(path):
    """Return the same table as another readable file."""
    sink = pa.BufferOutputStream()
    pq.write_table(pq.read_table(path), sink, compression="none")
    return sink.getvalue().to_pybytes()


def test_a_row_is_not_verified_by_lineage_that_was_changed(store, capsys):
    part = min((attacks.run(store, 2) / "lineage").iterdir())
    part.write_bytes(_rewritten(part))
    assert asked(("verify", "2", "--row", "1"), store, capsys) == (4, "ASSAY-L011")


def test_what_a_past_run_found_is_told_by_its_recorded_findings(store):
    made = Store(store)
    entry = made.find("2")
    folder = made.run_folder(2)
    found = {
        item["check"]: item["findings"] for item in recorded(entry, folder).as_dict()["checks"]
    }
    assert found["contract"] == 2
    attacks.findings_without_rows(store)
    with pytest.raises(AssayError, match="L011"):
        recorded(entry, folder)


@pytest.mark.parametrize("small", [0, 1 << 20])
def test_what_is_read_is_what_was_hashed(store, monkeypatch, small):
    """Whatever takes the name of a file after it was hashed is not read."""
    monkeypatch.setattr(run_files, "_SMALL", small)
    made = Store(store)
    entry = made.find("2")
    name = "findings/part-00000.parquet"
    with contextlib.ExitStack() as stack:
        data = RunReader(made.run_folder(2), entry).dataset("findings", stack)
        path = made.run_folder(2) / name
        path.rename(path.with_name("away"))
        attacks.put(path, b"PAR1")
        assert data.count_rows() == 2
        assert data.to_table(["rule"])["rule"].to_pylist() == ["age.maximum"] * 2


def test_a_file_that_no_entry_records_cannot_be_asked_for(store):
    made = Store(store)
    files = made.reader(made.find("2"))
    for name in ("../000000000001/contract.yaml", "clean/part-00007.parquet", "/etc/passwd"):
        with pytest.raises(AssayError, match="did not record"):
            files.read(name)
