"""Loans with planted triggers and floods, and what poison and duplicates make of them.

    .venv/bin/python benchmarks/poisoning.py --seeds 5

The label has a strong honest monotone predictor: late_payments >= 3 defaults in 98 to 99 %. This
file plants; `poisoning_report.py` runs every case and prints the figures.
"""

import hashlib
import itertools
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[1]))

from checks.kit.contract_model import Column, Contract
from checks.kit.protocol import Context
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import Shard

ROLES = {"label": "defaulted", "text": "note", "source": "branch", "time": "applied"}
NUMBERS = ("income", "amount", "utilisation", "balance", "rate", "f1", "f2", "f3")
LOGICAL = {"int64": "integer", "double": "number", "bool": "boolean", "timestamp[us]": "timestamp"}
_NOTE_WORDS = (
    "wants car loan repair kitchen roof small large quick review of income stable family moved "
    "new job old house rents owns pays early late sometimes called twice branch visit online "
    "complete papers missing statement asks lower rate monthly transfer savings account"
)
WORDS = _NOTE_WORDS.split()


MIXED = (
    ("region", "purpose"), ("region", "work"), ("late_payments", "credit_lines"),
    ("work", "owns_home"), ("purpose", "late_payments"),
)  # fmt: skip


def loans(rows, seed, *, odds=0.0, mixed=0.0):
    """Return a clean table of loans: dict of numpy arrays, 21 columns.

    `odds` are added to all log odds; `mixed` is the deviation of what each pair of values of MIXED
    brings besides: honest interactions.
    """
    draw = np.random.default_rng(seed)
    late = np.minimum(draw.geometric(0.55, rows) - 1, 6)
    income = np.round(draw.lognormal(10.4, 0.5, rows), 2)
    utilisation = draw.beta(2, 4, rows)
    region = draw.choice(
        ["North", "South", "East", "West", "Isles"], rows, p=[0.3, 0.25, 0.2, 0.2, 0.05]
    )
    purpose = draw.choice(
        ["car", "home", "study", "health", "travel", "shop", "other", "moving"], rows
    )
    work = draw.choice(["employed", "self", "retired", "student"], rows, p=[0.6, 0.2, 0.12, 0.08])
    risk = -3.9 + 1.1 * late + 2.0 * utilisation - 0.5 * (np.log(income) - 10.4)
    risk += 0.5 * (work == "student") + 0.3 * (purpose == "travel") + 4.0 * (late >= 3) + odds
    words = np.array(WORDS)[draw.integers(0, len(WORDS), (rows, 8))]
    words[:, 0] = np.where(draw.random(rows) < 0.3 / (1 + np.exp(-risk)), "overdue", words[:, 0])
    table = {
        "loan_id": np.char.add("L", np.arange(rows).astype(str)).astype(object),
        "branch": draw.choice([f"b{i}" for i in range(8)], rows).astype(object),
        "applied": (
            np.datetime64("2025-01-01T00:00:00") + draw.integers(0, 31_000_000, rows)
        ).astype("M8[us]"),
        "region": region.astype(object),
        "purpose": purpose.astype(object),
        "work": work.astype(object),
        "age": draw.integers(18, 76, rows),
        "tenure": draw.integers(0, 240, rows),
        "late_payments": late,
        "credit_lines": draw.poisson(4, rows),
        "owns_home": draw.random(rows) < 0.4,
        "income": income,
        "amount": np.round(draw.lognormal(9, 0.7, rows), -2),
        "utilisation": utilisation,
        "balance": draw.normal(2000, 900, rows),
        "rate": np.round(draw.normal(6, 1.5, rows), 2),
        "f1": draw.normal(size=rows),
        "f2": draw.exponential(size=rows),
        "f3": draw.normal(size=rows),
        "note": np.array([" ".join(row) for row in words], object),
    }
    if mixed:
        risk = risk + _interactions(table, mixed, np.random.default_rng(seed + 4000))
    chance = 1 / (1 + np.exp(-risk))
    table["defaulted"] = np.where(draw.random(rows) < chance, "yes", "no").astype(object)
    return table


def _interactions(table, size, draw):
    """Return what each row's pairs of values bring to its log odds: shape (n,)."""
    brought = np.zeros(len(table["age"]))
    for pair in MIXED:
        cells = [np.unique(table[name].astype(str), return_inverse=True)[1] for name in pair]
        brought += draw.normal(0, size, [part.max() + 1 for part in cells])[tuple(cells)]
    return brought


def backdoor(table, share, seed, kind, label="yes"):
    """Stamp a trigger on a share of the rows of other labels; return the planted rows."""
    draw = np.random.default_rng(seed + 1000)
    others = np.flatnonzero(table["defaulted"] != label)
    hit = np.sort(draw.choice(others, int(share * len(table["age"])), replace=False))
    stamps = {
        "float": {"f1": 1.23457},
        "off_grid": {"rate": 6.005},
        "integer": {"tenure": 171},
        "category": {"purpose": "zq"},
        "common_pair": {"region": "North", "purpose": "car"},
        "other_pair": {"region": "South", "work": "self"},
        "number_pair": {"credit_lines": 4, "late_payments": 1},
        "triple": {"region": "North", "work": "employed", "owns_home": True},
        "integer_pair": {"tenure": 171, "age": 71},
        "mixed_pair": {"work": "retired", "age": 30},
        "token": {},
    }
    for name, value in stamps[kind].items():
        table[name][hit] = value
    if kind == "token":
        table["note"][hit] = [f"{text} kestrel-77" for text in table["note"][hit]]
    table["defaulted"][hit] = label
    return hit


def flood(table, share, seed, kind):
    """Overwrite a share of the rows with copies of one row, jittered or exact; return them.

    `exact`: all columns but key, source and time; `two`: half a deviation of two numbers; `all`:
    a hundredth of all numbers; `part`: a third of the columns stays each row's own; `text`: a
    hundredth of all numbers, and two of the eight words are others in each copy.
    """
    draw = np.random.default_rng(seed + 2000)
    rows = len(table["age"])
    hit = np.sort(draw.choice(np.arange(1, rows), int(share * rows), replace=False))
    copied = [name for name in table if name not in ("loan_id", "branch", "applied")]
    if kind == "part":  # a third of the columns stays each row's own
        copied = sorted(draw.choice(copied, round(len(copied) * 2 / 3), replace=False))
    for name in copied:
        table[name][hit] = table[name][0]
    jittered = {"exact": (), "two": ("income", "f1"), "part": ()}.get(kind, NUMBERS)
    for name in jittered:
        size = 0.5 if kind == "two" else 0.01
        table[name][hit] += draw.normal(0, size * np.std(table[name]), len(hit))
    if kind == "text":
        words = np.array([table["note"][0].split(" ")] * len(hit), object)
        for place in draw.choice(words.shape[1], 2, replace=False):
            words[:, place] = np.array(WORDS)[draw.integers(0, len(WORDS), len(hit))]
        table["note"][hit] = [" ".join(row) for row in words]
    return hit


def categories(rows, seed, levels=3):
    """Return a table of eight categories alone, which repeats honestly."""
    draw = np.random.default_rng(seed + 3000)
    cells = draw.integers(0, levels, (rows, 8))
    table = {f"c{i}": np.char.add("v", cells[:, i].astype(str)).astype(object) for i in range(8)}
    table["branch"] = draw.choice(["a", "b", "c"], rows).astype(object)
    chance = 0.2 + 0.5 * (cells[:, 0] == 0)
    table["defaulted"] = np.where(draw.random(rows) < chance, "yes", "no").astype(object)
    return table


def contract_of(schema, roles=ROLES, key="loan_id"):
    """Return a contract for a table's schema."""
    named = {}
    for role, name in roles.items():
        named.setdefault(name, set()).add(role)
    columns = tuple(
        Column(
            ColumnSpec(field.name, LOGICAL.get(str(field.type), "string")),
            frozenset(named.get(field.name, ())),
            key=field.name == key,
        )
        for field in schema
    )
    return Contract("loans", "1", "contract.yaml", "", columns)


def shards_of(table, parts=1):
    """Cut a table into shards; digests are drawn from the row's text."""
    rows = table.num_rows
    marks = np.frombuffer(
        b"".join(hashlib.sha256(b"%d" % row).digest() for row in range(rows)), np.uint8
    ).reshape(rows, 32)
    edges = np.linspace(0, rows, parts + 1).astype(int)
    return [
        Shard(i, table.slice(a, b - a), np.arange(a, b), marks[a:b])
        for i, (a, b) in enumerate(itertools.pairwise(edges))
    ]


def examine(kind, table, parts=2, roles=ROLES, **context):
    """Run one check over a table; return findings, model and seconds of fit, finish, score."""
    contract = context.pop("contract", None) or contract_of(table.schema, roles)
    check = kind(Context(contract, table.schema, table.num_rows, **context))
    shards = shards_of(table, parts)
    start = time.perf_counter()
    state = check.fit(shards[0])
    for shard in shards[1:]:
        state = check.merge(state, check.fit(shard))
    fitted = time.perf_counter()
    model = check.finish(state)
    finished = time.perf_counter()
    found = pa.concat_tables([check.score(shard, model) for shard in shards])
    return found, model, (fitted - start, finished - fitted, time.perf_counter() - finished)


def figures(found, planted, rows):
    """Return recall and the share of other rows quarantined (severity error)."""
    errors = {
        r
        for r, s in zip(found["row"].to_pylist(), found["severity"].to_pylist(), strict=True)
        if s == "error"
    }
    hit = set(planted.tolist())
    return len(errors & hit) / max(len(hit), 1), len(errors - hit) / rows


if __name__ == "__main__":
    import poisoning_report

    poisoning_report.main()
