"""Recall, false alarms, speed and memory on generated conversations with planted faults.

    python benchmarks/conversations.py [--rows 100000] [--seed S] [--keep FOLDER]

Writes chat JSON Lines (`tests/chats.py`, `tests/chat_faults.py`): honest conversations of eleven
kinds, twelve kinds of faults in 0.2 % of the rows each, and a test set. Runs `assay init` and
`assay run`, and compares the fates with what was planted. Held: quarantined or rejected. Listed:
held, or with a finding of severity error or warning. The generator is our own, and an attacker who
knows the checks does better: figures are an upper bound.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]

import chat_faults  # noqa: E402
import chats  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.compute as pc  # noqa: E402

from provenance.rows.shards import read_table  # noqa: E402

ASSAY = Path(sys.executable).with_name("assay")
TEST = "customProperties:\n  - {property: assay.checks, value: {duplicates: {test: test.jsonl}}}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=20_261_201)
    parser.add_argument("--keep", type=Path, help="write everything into this folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = given.keep or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        made = chat_faults.made(given.rows, given.seed)
        chats.write(work / "chat.jsonl", made.rows)
        chats.write(work / "test.jsonl", made.test)
        megabytes = (work / "chat.jsonl").stat().st_size / 1e6
        run(work, "init", "chat.jsonl", "-o", "contract.yaml")
        contract = work / "contract.yaml"
        contract.write_text(contract.read_text("utf-8") + TEST, "utf-8")
        start = used()
        told = json.loads(run(work, "run", "contract.yaml", "--source", "chat.jsonl", "--json"))
        if told["error"]:
            raise SystemExit(told["error"])
        seconds = used() - start
        report(work / told["path"], made.planted)
        print(f"{given.rows:,} rows, {megabytes:.0f} MB: {seconds:.0f} CPU seconds, "
              f"{given.rows / seconds:,.0f} rows per CPU second")  # fmt: skip
        print(f"peak memory of one process: {peak():,.0f} MB")


def run(work, *words):
    command = [ASSAY, *words]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1, 3):
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout


def used():
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def peak():
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000


def report(path, planted):
    """Print the share of held and listed rows of each kind, and the false alarms."""
    held, listed, found = fates(path)
    print(f"{'planted':<12} {'rows':>6} {'held':>7} {'listed':>7}  by")
    for kind in chat_faults.KINDS:
        rows = {row for row, what in planted.items() if what == kind}
        most = Counter(rule for row in rows for rule in found.get(row, ())).most_common(3)
        by = ", ".join(f"{rule} {count}" for rule, count in most)
        shares = " ".join(f"{len(rows & some) / len(rows):>7.1%}" for some in (held, listed))
        print(f"{kind:<12} {len(rows):>6} {shares}  {by}")
    size = lineage(path).num_rows - len(planted)
    wrong = held - planted.keys()
    rules = Counter(rule for row in wrong for rule in found.get(row, ()))
    print(f"honest rows: {size:,}, held {len(wrong):,} ({len(wrong) / size:.3%}), "
          f"listed {len(listed - planted.keys()):,}; {dict(rules)}")  # fmt: skip


def fates(path):
    """Return the rows that were held, those that are listed, and the rules of each."""
    rows = lineage(path)
    held = {*rows.filter(pc.not_equal(rows["fate"], "clean"))["source_row"].to_pylist()}
    findings = joined(path / "findings")
    findings = findings.filter(
        pc.and_(pc.is_valid(findings["row"]), pc.not_equal(findings["severity"], "info"))
    )
    found = {}
    for row, rule in zip(findings["row"].to_pylist(), findings["rule"].to_pylist(), strict=True):
        found.setdefault(row, set()).add(rule)
    return held, held | found.keys(), found


def lineage(path):
    return joined(path / "lineage")


def joined(folder):
    return pa.concat_tables([read_table(part) for part in sorted(folder.glob("*.parquet"))])


if __name__ == "__main__":
    main()
