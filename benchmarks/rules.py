"""Twelve rules over a Parquet file: `python benchmarks/rules.py [--rows 5000000] [--times 3]`.

In turn, each in a new process, imports not counted: one hand-written DuckDB query for each rule
that fetches the offending rows; Assay's pass; Great Expectations on Assay's adapter; Assay's whole
stage (both of these, every row as a finding, Data Docs); Great Expectations on pandas, pandera on
polars and on pandas, and pointblank on polars. Medians of seconds and of CPU seconds, their ratio
to the hand-written queries of the same round, peak memory beyond the imports, and the offending
rows that were counted. `--only "Assay, the pass"` leaves the others out; peers that are not
installed are left out anyway: see rule_peers.py.
"""

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
import rule_peers  # noqa: E402
from rule_peers import CITIES, RULES, STATES, TYPES  # noqa: E402

PART = 500_000
SHARD = 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=list(PROGRAMS), help="beside `by hand`")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measured(*arguments.child)))
        return
    with tempfile.TemporaryDirectory(prefix="assay-rules-") as folder:
        make(Path(folder), arguments.rows)
        compare(Path(folder), arguments.rows, arguments.times, arguments.only)


def make(folder: Path, rows: int) -> None:
    """Write the file, and the shards that Assay's ingest would make of it."""
    import pyarrow.parquet as pq

    from provenance.rows import digest
    from provenance.rows.shards import Shard, write_shard

    writer, refs, done = None, [], 0
    while done < rows:
        table = part(min(PART, rows - done), done)
        writer = writer or pq.ParquetWriter(folder / "data.parquet", table.schema)
        writer.write_table(table)
        for start in range(0, table.num_rows, SHARD):
            piece = table.slice(start, SHARD).combine_chunks()
            import numpy as np

            ordinals = np.arange(done + start, done + start + piece.num_rows)
            shard = Shard(len(refs), piece, ordinals, digest.of_rows(piece))
            refs.append(write_shard(folder, shard))
        done += table.num_rows
    writer.close()
    (folder / "shards.json").write_text(json.dumps([dataclasses.astuple(ref) for ref in refs]))


def part(rows: int, first: int):
    """Return some rows; one in a thousand breaks a rule, for each rule."""
    import numpy as np
    import pyarrow as pa

    rng = np.random.default_rng(first)

    def faulty(values, bad):
        at = rng.random(rows) < 0.001
        return np.where(at, bad, values)

    number = np.char.add("user.", np.arange(first, first + rows).astype(str))
    letters = np.array([a + b for a in "ABCDEFGH" for b in "IJKLMNOP"])
    codes = np.char.add(rng.choice(letters, rows), rng.integers(1000, 9999, rows).astype(str))
    texts = {
        "city": faulty(rng.choice(CITIES, rows), "Atlantis"),
        "state": faulty(rng.choice(STATES, rows), "lost"),
        "email": faulty(np.char.add(number, "@example.org"), "at example"),
        "code": faulty(codes, "??"),
        "note": faulty(rng.choice(["called twice", "wants a van", "no answer"], rows), "x" * 50),
    }
    numbers = {
        "id": np.arange(first, first + rows),
        "age": faulty(faulty(rng.integers(18, 90, rows), 7), 120),
        "income": faulty(rng.lognormal(10, 0.5, rows).round(2), -1.0),
        "rate": faulty(rng.random(rows).round(4), 1.5),
        "amount": rng.normal(1000, 100, rows).round(2),
        "visits": rng.poisson(3, rows),
    }
    days = np.datetime64("2020-01-01") + rng.integers(0, 1500, rows)
    days = faulty(days, np.datetime64("2019-01-01"))
    ids = pa.array(numbers["id"], mask=rng.random(rows) < 0.001)
    columns = {**numbers, **texts, "day": pa.array(days.astype("datetime64[D]")), "id": ids}
    return pa.table({name: columns[name] for name in TYPES})


def compare(folder: Path, rows: int, times: int, only: list[str]) -> None:
    """Run the programs in turn and print their medians."""
    found: dict[str, list[dict]] = {n: [] for n in PROGRAMS if n in ("by hand", *only)}
    for _ in range(times):
        for name, seen in found.items():
            words = [sys.executable, __file__, "--child", name, str(folder)]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{name}: left out ({done.stderr.strip().splitlines()[-1][:80]})")
                continue
            seen.append(json.loads(done.stdout.splitlines()[-1]))
    size = (folder / "data.parquet").stat().st_size / 1e6
    print(f"\n{rows:,} rows x {len(TYPES)} columns, {size:,.0f} MB, medians of {times}")
    print(f"{'':34} {'seconds':>8} {'x by hand':>10} {'CPU':>7} {'x by hand':>10} {'MB':>7}"
          f" {'offending':>10}")  # fmt: skip
    for name, mine in found.items():
        if len(mine) == times:
            pairs = list(zip(mine, found["by hand"], strict=True))
            wall, cpu = (
                statistics.median(own[key] / their[key] for own, their in pairs)
                for key in ("seconds", "cpu")
            )
            middle = {key: statistics.median(item[key] for item in mine) for key in mine[0]}
            print(f"{name:34} {middle['seconds']:8.2f} {wall:10.2f} {middle['cpu']:7.2f}"
                  f" {cpu:10.2f} {middle['megabytes']:7.0f} {middle['rows']:10,.0f}")  # fmt: skip


def measured(name: str, folder: str) -> dict[str, float]:
    """Import, then run once; return what it took."""
    work = PROGRAMS[name](Path(folder))
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    held, start, before = memory("VmRSS"), time.perf_counter(), time.process_time()
    rows = work()
    seconds, cpu = time.perf_counter() - start, time.process_time() - before
    return {
        "seconds": seconds,
        "cpu": cpu,
        "megabytes": (memory("VmHWM") - held) / 1024,
        "rows": rows,
    }


def memory(name: str) -> int:
    """Return what the kernel says of this process's memory, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def contract_of():
    from checks.kit.contract_model import Column, Contract, Rule
    from provenance.rows.column_types import ColumnSpec

    columns = tuple(Column(ColumnSpec(name, kind)) for name, kind in TYPES.items())
    rules = tuple(
        Rule(f"r{number}", kind, column, params)
        for number, (column, kind, params, _) in enumerate(RULES)
    )
    return Contract("rules", "1", "c.yaml", "0" * 64, columns, rules)


def one_pass(folder: Path, *, suite_too: bool = False):
    import duckdb_engine  # noqa: F401
    import great_expectations  # noqa: F401

    from checks.rules import duck_engine, ge_adapter, one_pass, suite

    duck_engine.silence()
    duck_engine.types()  # whose own imports are late
    contract, shards = contract_of(), [ref.path for ref in listed(folder)]

    def work() -> int:
        with one_pass.opened(contract, shards, folder, one_pass.Budget()) as connection:
            clauses = suite.clauses(contract)
            engine = ge_adapter.Adapter(connection)
            if suite_too:
                results = engine.validate(suite.expectations(clauses))
                return sum(r.result.get("unexpected_count", 0) for r in results.values())
            rows = one_pass.offending(connection, engine.conditions(clauses))
            return sum(map(len, rows.values()))

    return work


def listed(folder: Path):
    from provenance.rows.shards import ShardRef

    return tuple(ShardRef(*facts) for facts in json.loads((folder / "shards.json").read_text()))


def whole_stage(folder: Path):
    one_pass(folder)
    from pipelines.run import contract_rules
    from provenance.rows.shards import read_table
    from provenance.rows.snapshot import Snapshot

    refs = listed(folder)
    total = sum(ref.rows for ref in refs)
    source = Snapshot(str(folder), total, (), refs, (), None, None, None, ())
    out = Path(tempfile.mkdtemp(dir=folder))
    return lambda: read_table(contract_rules.evaluate(contract_of(), source, out).findings).num_rows


PROGRAMS = {
    "by hand": rule_peers.by_hand,
    "Assay, the pass": one_pass,
    "Great Expectations, Assay's adapter": lambda folder: one_pass(folder, suite_too=True),
    "Assay, the whole stage": whole_stage,
    "pointblank, polars": rule_peers.pointblank,
    "pandera, polars": lambda folder: rule_peers.pandera_on(folder, "polars"),
    "pandera, pandas": lambda folder: rule_peers.pandera_on(folder, "pandas"),
    "Great Expectations, pandas": lambda folder: rule_peers.gx_pandas(folder, contract_of()),
}

if __name__ == "__main__":
    main()
