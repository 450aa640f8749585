"""A contract that `init` proposes for a clean table reads that table whole, in whatever form."""

from pathlib import Path

import clean_tables
import pytest

from pipelines import cli
from pipelines.proposal import propose
from pipelines.run import reading
from provenance.readers.csv_dialect import Dialect
from provenance.rows.snapshot import Snapshot

SAMPLE, ALL = 12, 200
SEEN = ("utf-8", "utf-8", "utf-16", "utf-16-le", "utf-32-be")  # what can be told from the bytes


def check(folder, seed):
    made = clean_tables.table(seed)
    name, data, _ = clean_tables.as_csv(made, seed, SEEN)
    forms = [(name, data), clean_tables.as_lines(made, seed)]
    forms.append(("a.parquet", clean_tables.as_parquet(made, seed)[0]))
    for place, (name, data) in enumerate(forms):
        home = folder / f"{seed}-{place}"
        home.mkdir()
        (home / name).write_bytes(data)
        read = proposed(home, home / name)
        assert (read.held, read.rejected, read.rows) == (None, None, len(made.rows))


def proposed(home: Path, source: Path):
    """Return the source as it is read by the contract that is proposed for it."""
    seen = reading.read_bare(str(source), str(home / "bare"))
    snapshot = Snapshot.load(Path(seen["snapshot"]))
    text, _ = propose.propose(
        snapshot,
        name="t",
        source=str(source),
        contract_folder=home,
        dialect=Dialect(**seen["dialect"]),
    )
    (home / "contract.yaml").write_text(text, encoding="utf-8")
    reading.read_sources(str(home / "contract.yaml"), [str(source)], [], str(home / "read"))
    return Snapshot.load(home / "read" / "source" / "snapshot.json")


@pytest.mark.parametrize("seed", range(SAMPLE))
def test_a_sample(tmp_path, seed):
    check(tmp_path, seed)


@pytest.mark.long
def test_many_of_them(tmp_path):
    for seed in range(SAMPLE, ALL):
        check(tmp_path, seed)


def test_values_of_columns_that_are_named_for_persons_are_not_listed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["Anna Meyer", "Bob Novak", "Carla Silva"]
    head = "manager_name,username,street,dob_text,city,colour,label"
    rows = [
        f"{names[n % 3]},{names[n % 3][:4].lower()},Hauptstr. {n % 2},0{n % 2 + 1}.02.1980,"
        f"{('Oslo', 'Bergen')[n % 2]},{('red', 'blue')[n % 2]},{('yes', 'no')[n % 2]}"
        for n in range(600)
    ]
    (tmp_path / "m.csv").write_text("\n".join([head, *rows]) + "\n")
    assert cli.main(["init", "m.csv", "--label", "label", "-o", "m.yaml"]) == 0
    written = (tmp_path / "m.yaml").read_text()
    assert not [word for word in (*names, "anna", "Hauptstr", "1980") if word in written]
    assert all(word in written for word in ("Oslo", "Bergen", "blue", "may hold names of persons"))
