"""How often a proposed contract holds fresh clean rows: `python benchmarks/proposals.py`.

Each table is cut in two; `assay init` proposes from one part, and the rows of the other are read
and judged by what it proposed. A row fails if the cast or a row rule of severity `error` holds it.
Cuts: halves at random; few rows (20 to 500) against many others; and, where rows come in order of
time, the first half against the second. The real tables are clean by assumption, not by proof.
"""

import argparse
import contextlib
import csv
import io
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "data_samples"), str(ROOT / "tests"), str(ROOT / "benchmarks")]
SHARED = ROOT.parent / "shared" / "data"
SMALL = (20, 50, 100, 200, 500)
FRESH = 5_000  # rows that a contract from few rows is held against
LOANS = 12_000


class Table(NamedTuple):
    """Text cells with a header; the label, and whether the rows stand in order of time."""

    name: str
    header: list[str]
    rows: list[list[str]]
    label: str
    is_timed: bool = False


class Outcome(NamedTuple):
    """Fresh rows, those that fail, rows by rule, and broken rules of the dataset."""

    rows: int
    failed: int
    by_rule: Counter[str]
    overall: list[str]


def tables() -> Iterator[Table]:
    """Yield the tables that are here: real ones of the shared folder, and generated loans."""
    for name, label in (("diamonds", "cut"), ("titanic", "survived")):
        path = SHARED / "tables" / f"{name}.csv"
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                header, *rows = csv.reader(file)
            yield Table(name, header, rows, label)
    for path in sorted((SHARED / "outliers").glob("*.npz")):
        with np.load(path) as held:
            made, marks = held["X"], held["y"].astype(int)
        header = [f"x{number}" for number in range(made.shape[1])]
        cells = [[f"{value:.10g}" for value in row] for row in made[marks == 0].tolist()]
        yield Table(path.stem.partition("_")[2], header, cells, "")
    yield loans(77)


def loans(seed: int) -> Table:
    """Draw the wide loans of `benchmarks/generate.py`, in order of time."""
    import generate
    import make
    from faulty_cells import as_text

    lines = make.lines_of(as_text(generate.wide(LOANS, seed)[0]))
    header, *rows = csv.reader(io.StringIO(b"\n".join(lines).decode()))
    return Table("loans", header, rows, "defaulted", is_timed=True)


def cuts(table: Table, seed: int, *, small: bool) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield (name of the cut, rows to propose from, fresh rows)."""
    count = len(table.rows)
    mixed = np.random.default_rng([seed, count]).permutation(count)
    yield "half", mixed[: count // 2], mixed[count // 2 :]
    if table.is_timed:
        ends = np.arange(count)
        yield "in order", ends[: count // 2], ends[count // 2 :]
    if small:
        for size in SMALL:
            if size < count // 2:
                yield f"{size}", mixed[:size], mixed[size : size + FRESH]


def judged(table: Table, seen: np.ndarray, fresh: np.ndarray) -> Outcome:
    """Propose from some rows and judge the others; the real reading and the real rules."""
    from checks.contract.loader import load
    from pipelines.proposal import propose
    from pipelines.run import contract_rules
    from provenance.readers import ingest
    from provenance.rows.shards import read_table

    with tempfile.TemporaryDirectory(prefix="assay-proposals-") as name:
        folder = Path(name)
        for part, chosen in (("seen", seen), ("fresh", fresh)):
            with (folder / f"{part}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(table.header)
                writer.writerows(table.rows[place] for place in chosen)
        limits = ingest.Limits.of({})
        snapshot = ingest.ingest([str(folder / "seen.csv")], None, folder / "a", limits=limits)
        text, _ = propose.propose(snapshot, name="t", label=table.label or None)
        (folder / "c.yaml").write_text(text, encoding="utf-8")
        contract = load(folder / "c.yaml", root=folder)
        specs = tuple(column.spec for column in contract.columns)
        read = ingest.ingest([str(folder / "fresh.csv")], specs, folder / "b", limits=limits)
        found = read_table(contract_rules.evaluate(contract, read, folder).findings).to_pylist()
        held = read_table(read.held_findings).to_pylist() if read.held_findings else []
        lost = read_table(read.rejected, ["_row"]).to_pylist() if read.rejected else []
    return _counted(found, held, lost, len(fresh))


def _counted(found: Any, held: Any, lost: Any, rows: int) -> Outcome:
    failed = [(f["row"], f"{f['column']} {f['rule']}") for f in found
              if f["severity"] == "error" and f["row"] is not None]  # fmt: skip
    failed += [(f["row"], f"{f['column']} {f['code']}") for f in held]
    failed += [(f["_row"], "rejected") for f in lost]
    overall = [f["rule"] for f in found if f["row"] is None and f["severity"] == "error"]
    by_rule = Counter(rule for _, rule in set(failed))
    return Outcome(rows, len({row for row, _ in failed}), by_rule, overall)


def main() -> int:
    """Print a line for each table and cut, the rules that failed most, and what it comes to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", help="tables whose name holds this")
    parser.add_argument("--cut", help="only this cut")
    parser.add_argument("--no-small", action="store_true", help="halves only")
    given = parser.parse_args()
    pooled: dict[str, list[Outcome]] = {}
    for table in tables():
        if given.only and given.only not in table.name:
            continue
        parts: dict[str, list[Outcome]] = {}
        for seed in range(given.seeds):
            for name, seen, fresh in cuts(table, seed, small=not given.no_small):
                if given.cut in (None, name):
                    parts.setdefault(name, []).append(judged(table, seen, fresh))
        for name, outcomes in parts.items():
            _line(table.name, name, outcomes)
            pooled.setdefault(name, []).extend(outcomes)
    for name, outcomes in pooled.items():
        _line("pooled", name, outcomes)
    return 0


def _line(table: str, cut: str, outcomes: list[Outcome]) -> None:
    rows, failed = (sum(getattr(item, key) for item in outcomes) for key in ("rows", "failed"))
    worst = max(item.failed / item.rows for item in outcomes)
    by_rule: Counter[str] = sum((item.by_rule for item in outcomes), Counter())
    told = ", ".join(f"{rule} {count}" for rule, count in by_rule.most_common(4))
    broken = sum(bool(item.overall) for item in outcomes)
    told += f"; {broken} broken as a whole" if broken else ""
    share = f"{100 * failed / rows:7.3f} % of {rows:>7,} worst {100 * worst:7.3f} %"
    sys.stdout.write(f"{table:<13} {cut:<9} {share}  {told if table != 'pooled' else ''}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
