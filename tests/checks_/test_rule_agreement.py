"""Forty edge cases of each kind of rule: the pass, Great Expectations and a plain model agree.

The model says in a line of Python a kind what docs/contract.md says in words. The stage itself
compares its rows with Great Expectations' counts and tells a difference as ASSAY-K016.
"""

import collections
import datetime as dt
import json
import math
import operator
import random
import re

import numpy as np
import pyarrow as pa
import pytest

from checks.contract.type_rules import FORMATS
from checks.kit.contract_model import Column, Contract, Rule
from pipelines.run.contract_rules import evaluate
from provenance.rows.column_types import ARROW, ColumnSpec
from provenance.rows.shards import Shard, read_table, write_shard
from provenance.rows.snapshot import Snapshot

CASES = 40
BIG = 2**53
NAN = math.nan
VALUES = {
    "integer": [None, 0, 1, -1, 5, 5, 100, -100, BIG - 1, BIG, BIG + 1, -BIG - 1, 2**63 - 1,
                -(2**63), 2**31, None, 7, 8, 9, 10],
    "number": [None, 0.0, -0.0, 1.0, 0.1, 0.1 + 0.2, 0.3, NAN, NAN, math.inf, -math.inf, 1e308,
               -1e308, 5e-324, 1e16, 1e16 + 2, -1.5, 2.5, None, 1 / 3],
    "string": [None, "", " ", "a", "A", "ab", "é", "e\u0301", "日本語", "🎉🎉", "a\nb", "NA",
               "null",               "0", "00", "1e5", "-", "it's", "100%", "a_b"],
    "date": [None, *(dt.date(2020, 1, day) for day in range(1, 15)), dt.date(1, 1, 1),
             dt.date(9999, 12, 31), dt.date(1970, 1, 1), dt.date(2020, 1, 3), None],
    "timestamp": [None, *(dt.datetime(2020, 1, 1, 0, 0, s, s) for s in range(15)),  # noqa: DTZ001
                  dt.datetime(1678, 1, 1), dt.datetime(2262, 1, 1), None,  # noqa: DTZ001
                  dt.datetime(2020, 1, 1)],  # noqa: DTZ001
    "time": [None, *(dt.time(hour, hour) for hour in range(16)), dt.time(0), dt.time(23, 59, 59),
             None],
    "boolean": [None, True, False, True, *[False] * 15, None],
}  # fmt: skip
SETS = ("integer", "number", "string", "date", "boolean")
PATTERNS = ["", "^$", "a", "^a", "b$", "^a$", r"^\d+$", r"^\w+$", r"^\s+$", "^.$", "^..$", r"\.",
            "(?i)^a", "[^a]", "^[A-Z]+$", "é", "^é$", "日", "🎉", "^🎉{2}$", "%", "_", "'", r"^\-$",
            "NA|null", "^(NA|null)$", "^0+$", r"^\S*$", "(?s)^a.b$", "^a.b$", r"\pL", r"^\p{Han}+$",
            r"\x{1F389}", "[0-9]e[0-9]", "^(a|b)*$", "a{1,2}", "^.{0,1}$", "^[^']*$", r"\bnull\b",
            "b|$"]  # fmt: skip


def cases(kind, rng):
    """Yield (logical type, params) of the cases of one kind."""
    plain = lambda n, rng: (list(VALUES)[n % len(VALUES)], {})  # noqa: ARG005, E731
    make = MADE.get(kind, plain)
    for n in range(CASES):
        yield make(n, rng)


def _bound(n, rng):
    logical = ("integer", "number", "date", "timestamp", "time")[n % 5]
    limit = rng.choice([v for v in VALUES[logical] if v is not None and not _odd(v)])
    if logical == "integer" and n % 10 == 0 and abs(limit) < BIG:
        limit += 0.5
    limit = limit.isoformat() if hasattr(limit, "isoformat") else limit
    return logical, {"value": limit, "exclusive": n % 2 == 1}


def _format(n, _):
    name = sorted(FORMATS)[n % len(FORMATS)]
    return "string", {"format": name, "regex": FORMATS[name]}


def _listed(n, rng):
    logical = SETS[n % len(SETS)]
    some = [v for v in VALUES[logical] if v is not None and not _odd(v)]
    values = rng.sample(some, min(len(some), 1 + n % 7))
    return logical, {"values": [v.isoformat() if logical == "date" else v for v in values]}


def _words(n, rng):
    words = [v for v in VALUES["string"] if v is not None]
    return "string", {"values": rng.sample(words, n % 8)}


def _odd(value):
    return isinstance(value, float) and not math.isfinite(value)


MADE = {
    "minimum": _bound, "maximum": _bound, "format": _format, "label": _listed,
    "validValues": _listed, "missingValues": _words,
    "minLength": lambda n, _: ("string", {"value": n}),
    "maxLength": lambda n, _: ("string", {"value": n}),
    "pattern": lambda n, _: ("string", {"regex": PATTERNS[n]}),
}  # fmt: skip


def breaks(kind, logical, params, value, seen):
    """Return whether a cell breaks a rule."""
    if kind in ("required", "nullValues") or value is None:
        return value is None and kind in ("required", "nullValues", "missingValues", "label")
    return MEANING[kind](value, params, logical, seen)


def _unlisted(value, params, logical, _):
    values = [dt.date.fromisoformat(v) if logical == "date" else v for v in params["values"]]
    return value not in values


def _beyond(value, params, is_beyond):
    limit = params["value"]
    limit = type(value).fromisoformat(limit) if isinstance(limit, str) else limit
    if value == limit:
        return params["exclusive"]
    return key(value) == "nan" or is_beyond(value, limit)  # NaN is beyond every bound


MEANING = {
    "missingValues": lambda v, p, *_: v in p["values"],
    "unique": lambda v, _, __, seen: seen[key(v)] > 1,
    "minLength": lambda v, p, *_: len(v) < p["value"],
    "maxLength": lambda v, p, *_: len(v) > p["value"],
    "pattern": lambda v, p, *_: not matches(p["regex"], v),
    "format": lambda v, p, *_: not matches(p["regex"], v),
    "validValues": _unlisted,
    "label": _unlisted,
    "minimum": lambda v, p, *_: _beyond(v, p, operator.lt),
    "maximum": lambda v, p, *_: _beyond(v, p, operator.gt),
}


def key(value):
    return "nan" if value != value else value  # noqa: PLR0124


def matches(pattern, text):
    """Match as RE2 does, by Arrow, which is another reader of it than DuckDB."""
    import pyarrow.compute as pc

    return pc.match_substring_regex(pa.array([text]), pattern)[0].as_py()


KINDS = ("required", "nullValues", "unique", "minimum", "maximum", "minLength", "maxLength",
         "pattern", "format", "validValues", "missingValues", "label")  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_forty_edge_cases_agree(kind, tmp_path):
    rng = random.Random(kind)
    given = list(cases(kind, rng))
    assert len(given) == CASES
    table = pa.table({name: pa.array(v, ARROW[name]) for name, v in VALUES.items()})
    columns = tuple(Column(ColumnSpec(name, name)) for name in VALUES)
    rules = tuple(Rule(f"r{n}", kind, logical, params) for n, (logical, params) in enumerate(given))
    contract = Contract("edges", "1", "c.yaml", "0" * 64, columns, rules)
    digests = np.zeros((table.num_rows, 32), np.uint8)
    ref = write_shard(tmp_path, Shard(0, table, np.arange(table.num_rows), digests))
    source = Snapshot(str(tmp_path), table.num_rows, (), (ref,), (), None, None, None, ())
    found = read_table(evaluate(contract, source, tmp_path).findings).to_pylist()
    assert not [f for f in found if re.match("ASSAY-K", f["rule"])], found
    rows = collections.defaultdict(list)
    for finding in found:
        rows[finding["rule"]].append(finding["row"])
    counted = counts(tmp_path / "expectations" / "result.json")
    for rule, (logical, params) in zip(rules, given, strict=True):
        seen = collections.Counter(key(v) for v in VALUES[logical])
        wanted = [
            at for at, value in enumerate(VALUES[logical])
            if breaks(kind, logical, params, value, seen)
        ]  # fmt: skip
        assert sorted(set(rows[rule.id])) == wanted, (kind, logical, params)
        if kind != "label":  # which is two expectations
            assert sum(counted[rule.id]) == len(wanted), (kind, logical, params)


def counts(path):
    """Return Great Expectations' own counts of unexpected cells by rule."""
    found = collections.defaultdict(list)
    for result in json.loads(path.read_text())["results"]:
        rule = result["expectation_config"]["meta"]["rule"]
        found[rule].append(result["result"].get("unexpected_count", 0))
    return found
