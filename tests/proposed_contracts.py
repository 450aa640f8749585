"""A contract that `init` proposes for a file, and what its rules find in another."""

import csv

from checks.contract.loader import load
from pipelines.proposal import propose
from pipelines.run import contract_rules
from provenance.readers import ingest
from provenance.rows.shards import read_table


def write_csv(path, columns):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_MINIMAL)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def proposed(path, folder, **given):
    """Return (contract, summary, text) proposed for a file."""
    folder.mkdir(exist_ok=True)
    limits = ingest.Limits.of({})
    snapshot = ingest.ingest([str(path)], None, folder / "as-read", limits=limits)
    text, summary = propose.propose(
        snapshot, name="people", source=str(path), contract_folder=folder.parent, **given
    )
    written = folder.parent / f"{folder.name}.yaml"
    written.write_text(text, encoding="utf-8")
    return load(written, root=folder.parent), summary, text


def judged(contract, path, folder):
    """Return the findings of a contract's rules on a file, and the rows that ingest held."""
    specs = tuple(column.spec for column in contract.columns)
    snapshot = ingest.ingest(
        [str(path)], specs, folder / "typed", limits=ingest.Limits.of({}), allow_empty=True
    )
    found = read_table(contract_rules.evaluate(contract, snapshot, folder).findings).to_pylist()
    held = read_table(snapshot.held_findings).to_pylist() if snapshot.held_findings else []
    return found + held
