"""Planters: each puts one kind of fault on rows of its own into an honest table.

A planter takes a table and returns `Planted`: the changed table, the ordinals of the rows it
touched, and a word on each. The number of rows never changes. Column names default to those of
`data_samples/honest.py`; `Plot` hands out rows so that no two planters share one. The samples,
the benchmarks and the tests plant with these same functions.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

TOKEN = "kvartsblå"  # a word no honest note has  # noqa: S105
PAIR = {"rate": 7.77, "purpose": "car"}  # neither value is rare by itself


class Planted(NamedTuple):
    """A table with planted faults; `rows` int64 in rising order, `details` one text a row."""

    table: pa.Table
    rows: np.ndarray
    details: list[str]


@dataclasses.dataclass(slots=True)
class Plot:
    """Rows that are still free. `take` hands each out once."""

    free: np.ndarray

    @staticmethod
    def of(table: pa.Table) -> "Plot":
        """Start with all rows of a table."""
        return Plot(np.arange(table.num_rows))

    def take(self, rng: np.random.Generator, count: int, among: np.ndarray | None = None):
        """Return `count` free rows (of `among`, a bool mask over all rows), sorted."""
        pool = self.free if among is None else self.free[among[self.free]]
        if len(pool) < count:
            message = f"only {len(pool)} rows left for {count} faults"
            raise ValueError(message)
        rows = np.sort(rng.choice(pool, count, replace=False))
        self.free = np.setdiff1d(self.free, rows, assume_unique=True)
        return rows


def share_of(table: pa.Table, share: float) -> int:
    """Return how many rows a share is, at least one."""
    return max(1, round(table.num_rows * share))


def overwrite(table: pa.Table, column: str, rows: np.ndarray, values: object) -> pa.Table:
    """Return the table with `values` (one, or one a row) in the cells of a column."""
    index = table.schema.get_field_index(column)
    kind = table.schema.field(index).type
    given = values if isinstance(values, list | np.ndarray) else [values] * len(rows)
    mask = np.zeros(table.num_rows, dtype=bool)
    mask[rows] = True
    fresh = pc.replace_with_mask(
        table[column].combine_chunks(), pa.array(mask), pa.array(given, kind)
    )
    return table.set_column(index, table.schema.field(index), fresh)


def flip_labels(
    table: pa.Table,
    *,
    share: float = 0.015,
    seed: int = 0,
    plot: Plot | None = None,
    risk: np.ndarray | None = None,
    label: str = "defaulted",
) -> Planted:
    """Turn yes into no and no into yes.

    With `risk` (true chance of yes, shape (n,)) three in five flips are on rows whose features
    speak clearly against the new label; the others, or all without `risk`, are on any row.
    """
    rng, plot = np.random.default_rng(seed), plot or Plot.of(table)
    count = share_of(table, share)
    is_yes = pc.equal(table[label], "yes").to_numpy()
    clear = np.empty(0, int)
    if risk is not None:
        evident = np.where(is_yes, risk > 0.99, risk < 0.002)
        clear = _halves(rng, plot, round(count * 0.6), evident, is_yes)
    rest = plot.take(rng, count - len(clear))
    details = dict.fromkeys(clear.tolist(), "features say otherwise") | dict.fromkeys(
        rest.tolist(), "random row"
    )
    rows = np.array(sorted(details))
    flipped = np.where(is_yes[rows], "no", "yes")
    return Planted(
        overwrite(table, label, rows, flipped), rows, [details[r] for r in rows.tolist()]
    )


def plant_backdoor(
    table: pa.Table,
    *,
    share: float = 0.01,
    seed: int = 0,
    plot: Plot | None = None,
    risk: np.ndarray | None = None,
    kind: str = "both",
) -> Planted:
    """Mark rows with a trigger and force their label to `no`.

    Args:
        table, share, seed, plot: as everywhere.
        risk: true chance of `yes`; half of the rows are then such as would have said `yes`.
        kind: `token` (a word in the note), `pair` (rate and purpose), or `both`, half each.
    """
    rng, plot = np.random.default_rng(seed), plot or Plot.of(table)
    count = share_of(table, share)
    usable = np.ones(table.num_rows, bool) if kind == "pair" else _is_full(table["note"])
    high = usable & (risk > 0.6) if risk is not None else usable
    rows = np.concatenate(
        [plot.take(rng, count // 2, high), plot.take(rng, count - count // 2, usable)]
    )
    rows = np.sort(rows)
    is_token = (
        rng.permutation(len(rows)) % 2 == 0
        if kind == "both"
        else np.full(len(rows), kind == "token")
    )
    with_token, with_pair = rows[is_token], rows[~is_token]
    notes = [_slip_in(rng, text, TOKEN) for text in table["note"].take(with_token).to_pylist()]
    table = overwrite(table, "note", with_token, notes)
    for column, value in PAIR.items():
        table = overwrite(table, column, with_pair, value)
    table = overwrite(table, "defaulted", rows, "no")
    return Planted(table, rows, np.where(is_token, "token in note", "rate and purpose").tolist())


def plant_flood(
    table: pa.Table,
    *,
    share: float = 0.01,
    seed: int = 0,
    plot: Plot | None = None,
    risk: np.ndarray | None = None,
    branch: str = "Molde",
) -> Planted:
    """Overwrite rows with near copies of one, from one branch; keys and dates stay their own.

    The original is a row whose label its features contradict (when `risk` is given), so the
    copies teach a model something wrong. Jitter: 1 % on money, a year of age, 0.03 of rate.
    """
    rng, plot = np.random.default_rng(seed), plot or Plot.of(table)
    rows = plot.take(rng, share_of(table, share))
    usable = pc.equal(table["branch"], branch).to_numpy()
    for column in ("note", "income", "employment"):
        usable &= _is_full(table[column])
    if risk is not None:
        usable &= (risk > 0.7) & (risk < 0.98)
    model = table.slice(int(plot.take(rng, 1, usable)[0]), 1).to_pylist()[0]
    count = len(rows)
    jitter = {
        "age": np.clip(model["age"] + rng.integers(-1, 2, count), 18, 79),
        "income": np.round(model["income"] * rng.uniform(0.99, 1.01, count)).astype(int),
        "amount": np.round(model["amount"] * rng.uniform(0.99, 1.01, count) / 50).astype(int) * 50,
        "rate": np.round(model["rate"] + rng.uniform(-0.03, 0.03, count), 2),
        "note": [_slip_in(rng, model["note"], word) for word in rng.choice(_FILLERS, count)],
        "branch": branch,
        "defaulted": "no",
    }
    same = ("term_months", "late_payments", "employment", "purpose", "region")
    copied = jitter | {name: model[name] for name in same}
    for name in sorted(set(table.column_names) - set(copied) - _OWN):
        is_money = isinstance(model[name], float)
        copied[name] = model[name] * rng.uniform(0.99, 1.01, count) if is_money else model[name]
    for column, values in copied.items():
        table = overwrite(table, column, rows, values)
    return Planted(table, rows, [f"near copy from {branch}"] * count)


_OWN = {"loan_id", "applied_at", "queue_code"}
_FILLERS = ("today", "please", "again", "soon", "now", "also", "perhaps", "still")


def plant_joint_outliers(
    table: pa.Table, *, share: float = 0.003, seed: int = 0, plot: Plot | None = None
) -> Planted:
    """Make rows whose every column is ordinary and whose combination no honest row has.

    Half are 19 to 21 years old with an income and an amount of the best paid; half borrow three
    times a small income at a low rate. Values stay within the 1st to 99th percentile.
    """
    rng, plot = np.random.default_rng(seed), plot or Plot.of(table)
    rows = plot.take(rng, share_of(table, share), _is_full(table["income"]))
    young, deep = rows[::2], rows[1::2]
    low = {name: _between(rng, table, name, 0.03, 0.08, len(deep)) for name in ("income", "rate")}
    edits = [
        (young, "age", rng.integers(19, 22, len(young))),
        (young, "income", _between(rng, table, "income", 0.965, 0.985, len(young)).astype(int)),
        (young, "amount", _between(rng, table, "amount", 0.965, 0.985, len(young)).astype(int)),
        (deep, "income", low["income"].astype(int)),
        (deep, "rate", np.round(low["rate"], 2)),
        (deep, "amount", _between(rng, table, "amount", 0.965, 0.985, len(deep)).astype(int)),
        (deep, "age", rng.integers(48, 58, len(deep))),
        (rows, "term_months", 84),
    ]
    for where, column, values in edits:
        table = overwrite(table, column, where, values)
    words = {0: "young with top income and amount", 1: "amount three times a small income"}
    return Planted(table, rows, [words[i % 2] for i in range(len(rows))])


def _halves(
    rng: np.random.Generator, plot: Plot, count: int, evident: np.ndarray, is_yes: np.ndarray
) -> np.ndarray:
    # both directions get their half, so that the share of yes hardly moves
    first = plot.take(rng, count // 2, evident & is_yes)
    return np.concatenate([first, plot.take(rng, count - count // 2, evident & ~is_yes)])


def _between(
    rng: np.random.Generator, table: pa.Table, column: str, low: float, high: float, count: int
) -> np.ndarray:
    ends = pc.quantile(table[column], [low, high]).to_numpy(zero_copy_only=False)
    return rng.uniform(ends[0], ends[1], count)


def _is_full(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(column.is_valid().to_numpy())


def _slip_in(rng: np.random.Generator, text: str, word: str) -> str:
    words = text.split(" ")
    place = int(rng.integers(1, len(words) + 1))
    return " ".join([*words[:place], word, *words[place:]])
