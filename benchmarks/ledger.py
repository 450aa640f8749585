"""What provenance costs, each beside a peer in the same run: digests, verification, diff.

python benchmarks/ledger.py [--rows 1000000] [--entries 10000] [--times 3]
"""

import argparse
import hashlib
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from provenance.ledger import compaction, entry, key_rotation, lineage, merkle, signing, verify
from provenance.ledger.ledger import Ledger
from provenance.rows import digest

NOW = "2026-01-01T00:00:00+00:00"
LOOPED = 20_000  # rows that the plain loop takes; its time is scaled to all


def seconds(call, times):
    """Return the median time of a call."""
    took = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
    return statistics.median(took)


def mixed(rows):
    """Return a table of 20 columns: numbers, texts, dates, flags, categories, with nulls."""
    draw = np.random.default_rng(3)
    gone = draw.random(rows) < 0.05
    columns = {}
    for n in range(6):
        columns[f"number{n}"] = pa.array(draw.normal(size=rows), mask=gone if n == 1 else None)
    for n in range(5):
        columns[f"whole{n}"] = pa.array(draw.integers(0, 10**9, rows))
    words = [f"word {n} {'x' * (n % 30)}" for n in range(5_000)]
    for n in range(5):
        columns[f"text{n}"] = pa.array(words).take(pa.array(draw.integers(0, len(words), rows)))
    columns["flag"] = pa.array(draw.random(rows) < 0.5)
    columns["day"] = pa.array(draw.integers(0, 20_000, rows).astype("int32")).cast(pa.date32())
    columns["at"] = pa.array(draw.integers(0, 2 * 10**15, rows)).cast(pa.timestamp("us"))
    columns["kind"] = pa.array(["a", "bb", None]).take(pa.array(draw.integers(0, 3, rows)))
    return pa.table(columns)


def digests(rows, times):
    """Time row digests beside SHA-256 of the same bytes, and beside a loop over rows."""
    table = mixed(rows)
    step = 1 << 16
    cut = [table.slice(start, step).combine_chunks() for start in range(0, rows, step)]
    parts = [digest._encoded(part) for part in cut]  # noqa: SLF001  the very bytes are wanted
    whole = b"".join(part.buffers()[2].to_pybytes() for part in parts)
    few = table.slice(0, LOOPED)

    def loop():
        for row in few.to_pylist():
            total = hashlib.sha256()
            for name in sorted(row):
                text = repr(row[name]).encode()
                total.update(len(text).to_bytes(4, "little") + text)
            total.digest()

    ours = seconds(lambda: digest.of_rows(table), times)
    plain = seconds(lambda: hashlib.sha256(whole).digest(), times)
    looped = seconds(loop, times) * rows / LOOPED
    told = f"{rows:,} rows x {table.num_columns}, {len(whole) / rows:.0f} bytes a row"
    print(f"row digests         {told}: {ours:.2f} s")
    print(
        f"  hashlib.sha256 over the same bytes: {plain:.2f} s, ours {ours / plain:.1f} times that"
    )
    print(f"  a Python loop over rows: {looped:.1f} s, ours {looped / ours:.1f} times faster")
    ids = digest.of_rows(table)
    rules = pa.array([[]] * rows, pa.list_(pa.string()))
    from provenance.rows.snapshot import Source

    source = (Source("a.csv", "csv", 1, "0" * 64, 0, rows),)
    told = lineage.table_of(source, np.arange(rows), ids, ("clean", "clean/part-0.parquet"), rules)
    rooted = seconds(lambda: merkle.Tree(lineage.leaves(told)).root(), times)
    print(f"  root of their lineage: {rooted:.2f} s, {rooted / ours:.2f} x the digests")


def verification(entries, times, folder):
    """Time the verification of a ledger in single files, and in one segment."""
    signer = signing.load_or_make(folder / "key.pem")
    ledger = Ledger(folder / "ledger")
    ledger.entries_folder.mkdir(parents=True)
    prev, first = entry.GENESIS, key_rotation.first_facts(signer, NOW)
    for seq in range(entries):
        facts = {"kind": "run", "time": NOW, "seq": seq, "verdict": "pass"} if seq else first
        made = entry.make(seq, prev, facts, signer)
        ledger.path_of(seq).write_bytes(made.to_parquet())
        prev = made.leaf

    def walk():
        walked = verify.verify_ledger(ledger, signer.verifier)
        if walked.breaks:
            raise SystemExit(walked.breaks)
        return walked.entries

    single = seconds(walk, times) / walk()
    size = sum(path.stat().st_size for path in ledger.entries_folder.iterdir()) / entries
    compaction.compact(ledger, signer, NOW)
    segment = seconds(walk, times) / walk()
    [path] = ledger.segments_folder.iterdir()
    print(
        f"verify {entries:,} entries   in single files {single * 1e3:.2f} ms, {size:.0f} bytes each"
    )
    dense = path.stat().st_size / entries
    told = f"{segment * 1e3:.2f} ms, {dense:.0f} bytes each"
    print(f"  in one segment {told}: {single / segment:.1f} times faster")
    leaves = [item.leaf for item in ledger.entries()]
    proving = seconds(lambda: merkle.inclusion(leaves, entries // 2), times)
    print(f"  proof of one entry  {len(merkle.inclusion(leaves, entries // 2))} hashes, "
          f"{proving * 1e3:.1f} ms")  # fmt: skip


def main():
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=3)
    given = parser.parse_args()
    digests(given.rows, given.times)
    with tempfile.TemporaryDirectory() as folder:
        verification(given.entries, given.times, Path(folder))
    beside = Path(__file__).with_name("diff.py")
    words = ("--rows", str(given.rows), "--times", str(given.times))
    subprocess.run([sys.executable, str(beside), *words], check=True)


if __name__ == "__main__":
    main()
