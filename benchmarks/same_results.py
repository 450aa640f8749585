"""Whether two versions of Assay decide alike: the same fates, rows and findings, to the digest.

    python benchmarks/same_results.py OLD_ASSAY NEW_ASSAY [--data FOLDER]

OLD_ASSAY and NEW_ASSAY are two `assay` commands, e.g. of two checkouts. Each examines the sample
loans and every CSV in FOLDER (under a contract that OLD_ASSAY proposes, without the labels of a
person) with the same keys. Compared are the clean, quarantined and rejected rows, the lineage and
the findings, by SHA-256 of their columns; texts for people are left out: `evidence`, `suggestion`,
and the `_reasons` and `_reason` of held rows. Exits with 1 if anything differs.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds

HERE = Path(__file__).resolve().parent
SAMPLE = HERE.parent / "data_samples" / "contract.yaml"
TEXTS = ("evidence", "suggestion", "_reasons", "_reason")
PARTS = ("clean", "quarantine", "rejected", "lineage", "findings")
LABELS = {"titanic": "survived", "diamonds": "cut"}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=os.path.abspath)
    parser.add_argument("new", type=os.path.abspath)
    parser.add_argument("--data", type=lambda path: Path(path).absolute())
    given = parser.parse_args()
    different = 0
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        contracts = {"sample": (SAMPLE, None)}
        for path in sorted(given.data.glob("*.csv")) if given.data else ():
            contracts[path.stem] = (proposed(given.old, path, work), path)
        for name, (contract, source) in contracts.items():
            old, new = (
                digests(command, contract, source, work / f"{name}-{side}", work)
                for side, command in (("old", given.old), ("new", given.new))
            )
            for part in sorted(old.keys() | new.keys()):
                is_same = old.get(part) == new.get(part)
                different += not is_same
                rows, digest = new.get(part, (0, "none"))
                told = "same" if is_same else "DIFFERS"
                print(f"{name:10} {part:12} {rows:>7} {digest[:16]} {told}")
    sys.exit(different > 0)


def proposed(assay, source, work):
    """Return a contract that a version proposes for a source, with the label where one is known."""
    out = work / f"{source.stem}.yaml"
    label = LABELS.get(source.stem)
    called(
        assay, ["init", str(source), "-o", str(out), *(["--label", label] if label else [])], work
    )
    return out


def digests(assay, contract, source, store, work):
    """Return rows and digest of each part of a run, columns of texts left out."""
    words = ["run", str(contract), "--direct", "--store", str(store)]
    called(assay, [*words, *(["--source", str(source)] if source else [])], work, codes=(0, 1))
    run = store / "runs" / "000000000001"
    found = {}
    for part in PARTS:
        if any((run / part).glob("*.parquet")):
            table = ds.dataset(run / part, format="parquet").to_table()
            kept = table.drop_columns([name for name in TEXTS if name in table.column_names])
            if part == "findings":  # findings that differ in their text alone are in its order
                kept = kept.sort_by([(name, "ascending") for name in kept.column_names])
            found[part] = (len(table), digest_of(kept))
    return found


def digest_of(table):
    """Return the digest of a table's rows in order: schema without metadata, then its values."""
    sink = pa.BufferOutputStream()
    plain = table.replace_schema_metadata(None).combine_chunks()
    with pa.ipc.new_stream(sink, plain.schema) as writer:
        writer.write_table(plain, max_chunksize=1 << 30)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def called(assay, words, work, codes=(0,)):
    """Run a version in a folder of its own, with the keys that the other one has."""
    environment = {
        name: text for name, text in os.environ.items() if not name.startswith("PREFECT")
    }
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        environment[name] = str(work / "home")
    (work / "home").mkdir(exist_ok=True)
    done = subprocess.run(
        [assay, *words], check=False, env=environment, cwd=work, capture_output=True, text=True
    )
    if done.returncode not in codes:
        sys.exit(f"{assay} {' '.join(words)} exited with {done.returncode}\n{done.stderr[-2000:]}")


if __name__ == "__main__":
    main()
