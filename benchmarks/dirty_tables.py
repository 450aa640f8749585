"""What `assay init` makes of dirty tables: `benchmarks/dirty_tables.py [--tables 20] [--run]`.

Seeded tables of 600 to 8,000 rows are cut in two. One kind of fault at a time is planted into one
half, in 0.1 to 2 % of its rows, and `assay init` proposes a contract from that half. Measured are
the planted rows that break a proposed rule of any severity (kept out), the honest rows of that half
that do (lost at home), and the cells and rows of the clean other half that an error rule holds
(lost abroad).
A word that is read as missing (`assay.missing`), such as `#N/A`, counts as kept out only where its
column requires a value, so that its row is held or queued; being told with a count is not enough.
With `--run`, all kinds together are planted in about 5 % of the rows, and `assay run` judges them
under the proposed contract as it is: planted rows that are held, and held or queued.
A run obeys the proposed notation of numbers: a thousands separator that it reads is not held there.
"""

import argparse
import contextlib
import csv
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
SHARES = (0.001, 0.003, 0.01, 0.02)
TOGETHER = 0.0025  # of the rows, for each kind of a `--run`
CITIES = ("Bergen", "Hamburg", "Lisbon", "Toulouse", "Valencia", "Warsaw", "Zagreb", "Gdansk",
          "Porto", "Nantes", "Malmo", "Ghent", "Leeds", "Turin", "Graz")  # fmt: skip
PLANS = ("basic", "family", "business", "student")
ALIKE = str.maketrans("aeopcxBHMT", "\u0430\u0435\u043e\u0440\u0441\u0445\u0412\u041d\u041c\u0422")
Cells = dict[str, list[str]]
Plant = Callable[[np.random.Generator, str], str]


def table(seed: int) -> Cells:
    """Draw an honest table; its shapes of distribution change with the seed."""
    draw = np.random.default_rng([77, seed])
    rows = int(draw.choice((600, 1_200, 2_500, 5_000, 8_000)))
    start = np.datetime64("2023-01-01") + int(draw.integers(0, 400))
    days = start + draw.integers(0, int(draw.integers(60, 700)), rows)
    seconds = np.sort(draw.uniform(0, 86_400 * 30, rows)).astype(int)
    income = draw.lognormal(10, float(draw.uniform(0.3, 0.8)), rows)
    ages = np.clip(draw.normal(44, float(draw.uniform(9, 15)), rows), 18, 95).astype(int)
    height = draw.normal(172, float(draw.uniform(6, 11)), rows)
    plans = draw.choice(PLANS, rows, p=draw.dirichlet((8, 6, 4, 3)))
    cities = draw.choice(CITIES, rows, p=draw.dirichlet([3.0] * len(CITIES)))
    visits = draw.poisson(float(draw.uniform(1, 6)), rows)
    score = draw.gamma(2.0, 10.0, rows) if seed % 2 else draw.uniform(0, 100, rows)
    label = np.where(income * draw.lognormal(0, 0.5, rows) > np.median(income), "good", "poor")
    first = int(draw.integers(1, 10**6))
    return {
        "id": [str(first + number) for number in range(rows)],
        "seen_at": [f"{np.datetime64('2024-03-01T00:00:00') + int(s)}" for s in seconds],
        "signed": [str(day) for day in days],
        "income": [f"{value:.2f}" for value in income],
        "age": [str(value) for value in ages],
        "height": [f"{value:.1f}" for value in height],
        "visits": [str(value) for value in visits],
        "score": [f"{value:.1f}" for value in score],
        "plan": [str(value) for value in plans],
        "city": [str(value) for value in cities],
        "label": [str(value) for value in label],
    }


def _swapped(draw: np.random.Generator, cell: str) -> str:
    """Misspell a word: swap, drop, double or change a letter."""
    at, way = int(draw.integers(1, len(cell) - 1)), int(draw.integers(4))
    other = "abcdefghijklmnoprstuvz"[int(draw.integers(22))]
    parts = (
        cell[: at - 1] + cell[at] + cell[at - 1] + cell[at + 1 :],
        cell[:at] + cell[at + 1 :],
        cell[:at] + cell[at] + cell[at:],
        cell[:at] + other + cell[at + 1 :],
    )
    return parts[way] if parts[way] != cell else cell[:-1] + "x"


def _variant(draw: np.random.Generator, cell: str) -> str:
    return (cell.upper(), f" {cell}", f"{cell} ", cell.swapcase())[int(draw.integers(4))]


def _other_day(draw: np.random.Generator, cell: str) -> str:
    year, month, day = cell.split("-")
    forms = (f"{day}/{month}/{year}", f"{day}.{month}.{year}", f"{month}/{day}/{year}")
    return forms[int(draw.integers(3))]


KINDS: dict[str, tuple[str, Plant]] = {
    "decimal comma": ("income", lambda _, cell: cell.replace(".", ",")),
    "thousands separator": ("income", lambda _, cell: f"{float(cell):,.2f}"),
    "number with a unit": ("height", lambda _, cell: f"{cell} cm"),
    "word for a number": ("age", lambda *_: "forty"),
    "N/A": ("score", lambda *_: "N/A"),
    "#N/A": ("income", lambda *_: "#N/A"),
    "\\N": ("visits", lambda *_: "\\N"),
    "?": ("age", lambda *_: "?"),
    "-999": ("height", lambda *_: "-999"),
    "9999": ("age", lambda *_: "9999"),
    "1,000 times too large": ("income", lambda _, cell: f"{float(cell) * 1000:.2f}"),
    "100 times too small": ("height", lambda _, cell: f"{float(cell) / 100:.2f}"),
    "10 times too large": ("height", lambda _, cell: f"{float(cell) * 10:.1f}"),
    "a year for an age": ("age", lambda draw, _: str(draw.integers(1950, 2024))),
    "another form of date": ("signed", _other_day),
    "1900-01-01": ("signed", lambda *_: "1900-01-01"),
    "misspelt category": ("city", _swapped),
    "look-alike category": ("plan", lambda _, cell: cell.translate(ALIKE)),
    "case or blanks": ("city", _variant),
    "test": ("plan", lambda *_: "test"),
    "misspelt label": ("label", _swapped),
    "repeated key": ("id", lambda *_: ""),  # see `planted`
}


def planted(
    cells: Cells, kind: str, share: float, seed: int, taken: Collection[int] = ()
) -> np.ndarray:
    """Plant a kind of fault in place, in a share of the rows, two at least; return the rows."""
    name, change = KINDS[kind]
    draw = np.random.default_rng([78, seed, list(KINDS).index(kind)])
    column = cells[name]
    free = [row not in taken for row in range(len(column))]
    usable = np.flatnonzero([f and change(draw, c) != c for f, c in zip(free, column, strict=True)])
    many = max(2, round(share * len(column)))
    rows = np.sort(draw.choice(usable, min(many, len(usable)), replace=False))
    if kind == "repeated key":
        rows = rows[: len(rows) // 2 * 2]
        for one, other in zip(rows[::2], rows[1::2], strict=True):
            column[one] = column[other]
        return rows
    for row in rows:
        column[row] = change(draw, column[row])
    return rows


class Outcome(NamedTuple):
    """Planted rows, those kept out; other rows and those lost; fresh cells, and what of them is."""

    planted: int
    kept_out: int
    honest: int
    lost: int
    fresh_cells: int
    lost_cells: int
    lost_rows: int


def judged(seed: int, kind: str, share: float, folder: Path) -> Outcome:
    """Plant one kind into a half of a table, propose from it, and judge both halves."""
    from proposed_contracts import proposed

    cells = table(seed)
    half = len(cells["id"]) // 2
    order = np.random.default_rng([79, seed]).permutation(len(cells["id"]))
    seen, fresh = (_taken(cells, np.sort(part)) for part in (order[:half], order[half:]))
    rows = set(planted(seen, kind, share, seed).tolist())
    _write(folder / "seen.csv", seen)
    # both halves are judged in one go: the fresh rows follow the others
    _write(folder / "both.csv", {name: seen[name] + fresh[name] for name in seen})
    contract, _, _ = proposed(folder / "seen.csv", folder / "a", label="label")
    found = set(_broken(contract, folder / "both.csv", folder / "b"))
    named = {row for row, _, _ in found}
    errors = {(row, column) for row, column, is_error in found if is_error}
    at_home = {row for row, _ in errors if row < half} - rows
    abroad = {(row, column) for row, column in errors if row >= half}
    return Outcome(
        len(rows), len(rows & named), half - len(rows), len(at_home),
        (len(order) - half) * len(cells), len(abroad), len({row for row, _ in abroad}),
    )  # fmt: skip


def _broken(contract: Any, path: Path, folder: Path) -> Iterator[tuple[int, str, bool]]:
    """Yield (row, column, whether an error) of each cell that the cast or a rule holds.

    The cast is a run's own; the rules are compared here, since the suite takes seconds to compile
    (`tests/checks_/test_rule_agreement.py` shows that it means the same).
    """
    from provenance.readers import ingest
    from provenance.rows.shards import ROW, read_table

    specs = tuple(column.spec for column in contract.columns)
    read = ingest.ingest([str(path)], specs, folder, limits=ingest.Limits.of({}))
    for part in [read.held_findings] if read.held_findings else []:
        yield from ((f["row"], f["column"], True) for f in read_table(part).to_pylist())
    typed = pa.concat_tables([read_table(ref.path) for ref in read.shards])
    rows = typed[ROW].to_numpy()
    for rule in contract.rules:
        if rule.column is not None:
            bad = _violates(rule, typed[rule.column])
            is_error = rule.severity == "error"
            yield from ((int(row), rule.column, is_error) for row in rows[bad])


def _violates(rule: Any, column: pa.ChunkedArray) -> np.ndarray:
    """Return which cells violate a rule that `assay init` proposes."""
    is_null = pc.is_null(column).to_numpy()
    bad, params = np.zeros(len(column), bool), rule.params
    values = params.get("values", params.get("value_set"))
    low, high = params.get("min_value"), params.get("max_value")
    low = params["value"] if rule.kind == "minimum" else low
    high = params["value"] if rule.kind == "maximum" else high
    if rule.kind in ("required", "nullValues", "label"):
        bad |= is_null
    if values is not None:
        bad |= ~is_null & ~pc.is_in(column, pa.array(values, column.type)).to_numpy()
    if rule.kind == "unique":
        counted = column.value_counts()
        often = counted.field("values").filter(pc.greater(counted.field("counts"), 1))
        bad |= ~is_null & pc.is_in(column, often).to_numpy()
    for end, beyond in ((low, pc.less), (high, pc.greater)):
        if end is not None:
            bad |= pc.fill_null(
                beyond(column, _limit(end, column.type)), fill_value=False
            ).to_numpy()
    return bad


def _limit(end: Any, kind: pa.DataType) -> pa.Scalar:
    return pa.scalar(end).cast(kind) if isinstance(end, str) else pa.scalar(end)


def run(seed: int, folder: Path) -> tuple[int, int, int, int, int, int]:
    """Plant all kinds, `assay init`, `assay run`; return counts of rows and the exit code.

    Returns:
        Planted rows, those held, those held or queued; honest rows, those held; the exit code.
    """
    import pyarrow.parquet as pq

    from pipelines import cli

    cells = table(seed)
    rows: set[int] = set()
    for kind in KINDS:
        rows |= set(planted(cells, kind, TOGETHER, seed, rows).tolist())
    _write(folder / "t.csv", cells)
    with contextlib.chdir(folder), (folder / "log").open("w") as log, \
            contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):  # fmt: skip
        cli.main(["init", "t.csv", "--label", "label", "-o", "c.yaml"])
        code = cli.main(["run", "c.yaml", "--source", "t.csv", "--direct"])
    found = pq.read_table(folder / "assay-store/runs/000000000001/findings").to_pylist()
    parts = sorted((folder / "assay-store/runs/000000000001").glob("quarantine/*.parquet"))
    held = {row for part in parts for row in pq.read_table(part)["_row"].to_pylist()}
    queued = {f["row"] for f in found if f["severity"] in ("error", "warning")} - {None}
    count = len(cells["id"])
    return (
        len(rows), len(rows & held), len(rows & (held | queued)), count - len(rows),
        len(held - rows), code,
    )  # fmt: skip


def _taken(cells: Cells, places: np.ndarray) -> Cells:
    return {name: [column[place] for place in places] for name, column in cells.items()}


def _write(path: Path, cells: Cells) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(cells)
        writer.writerows(zip(*cells.values(), strict=True))


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def main() -> int:
    """Print a line for each kind of fault, and what it comes to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=20)
    parser.add_argument("--run", action="store_true", help="`assay run` instead of the rules alone")
    given = parser.parse_args()
    return _runs(given.tables) if given.run else _proposals(given.tables)


def _proposals(tables: int) -> int:
    by_kind: dict[str, list[Outcome]] = {kind: [] for kind in KINDS}
    for seed in range(tables):
        for number, kind in enumerate(KINDS):
            with tempfile.TemporaryDirectory(prefix="assay-dirty-") as name:
                share = SHARES[(seed + number) % len(SHARES)]
                by_kind[kind].append(judged(seed, kind, share, Path(name)))
        _line(f"table {seed}", [found[-1] for found in by_kind.values()])
    for kind, found in by_kind.items():
        _line(kind, found)
    _line("all", [outcome for found in by_kind.values() for outcome in found])
    return 0


def _line(kind: str, found: list[Outcome]) -> None:
    total = Outcome(*(sum(part) for part in zip(*found, strict=True)))
    kept = sum(item.kept_out / item.planted for item in found) / len(found)
    sys.stdout.write(
        f"{kind:<24} planted {total.planted:>5}  kept out {total.kept_out / total.planted:6.3f} "
        f"(mean of tables {kept:5.3f})  lost at home {100 * total.lost / total.honest:6.3f} %  "
        f"abroad {100 * total.lost_cells / total.fresh_cells:6.4f} % of cells, "
        f"{total.lost_rows} rows\n"
    )
    sys.stdout.flush()


def _runs(tables: int) -> int:
    total = np.zeros(5, int)
    for seed in range(tables):
        with tempfile.TemporaryDirectory(prefix="assay-dirty-") as name:
            *counts, code = run(seed, Path(name))
        total += counts
        _run_line(f"table {seed}", counts, f"exit {code}")
    _run_line("all", total.tolist(), "")
    return 0


def _run_line(name: str, counts: list[int], end: str) -> None:
    rows, held, queued, honest, lost = counts
    sys.stdout.write(
        f"{name:<9} planted {rows:>5}  held {held / rows:5.3f}  "
        f"held or queued {queued / rows:5.3f}  "
        f"honest rows held {100 * lost / honest:6.3f} %  {end}\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
