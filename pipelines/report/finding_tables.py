"""Summaries of a findings table for the report: rules, their worst rows, and scores.

Findings are grouped and ranked in numpy over dictionary codes; only those shown become Python
objects. Cost: one sort of the findings.
"""

import dataclasses
import html
import itertools
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit.findings import SEVERITIES, Findings
from pipelines.report.facts import FindingFacts, ReportFacts, RuleFacts, ScoreHistogram
from provenance.base.errors import printable

ROWS_A_RULE = 200
ROWS_IN_ALL = 2_000
EXAMPLES = 5
COLUMNS = 12
TEXT_LIMIT = 400  # characters of one cell of the page
TEXT_IN_ALL = 1_000_000  # bytes of HTML for all shown findings together
MARKUP_A_ROW = 120
BINS = 50


def facts_of(facts: ReportFacts, found: Findings) -> ReportFacts:
    """Add to `facts` the rules with findings, and the scores of checks that grade them."""
    rules = rules_of(found, facts.rows["source"])
    return dataclasses.replace(facts, rules=rules, scores=(*facts.scores, *scores_of(found)))


def rules_of(found: Findings, source_rows: int) -> tuple[RuleFacts, ...]:
    """Summarise findings per (check, rule, severity), errors first, then by number of rows.

    Args:
        found: findings in any order; `checks.kit.findings.SCHEMA`.
        source_rows: number of source rows, the base of `share`.
    """
    if not found.num_rows:
        return ()
    group, first = _groups(found)
    row = pc.fill_null(found["row"], -1).to_numpy()
    score = np.nan_to_num(pc.fill_null(found["score"], 0.0).to_numpy(), nan=0.0)
    order = np.lexsort((row, -score, group))
    counts = np.bincount(group, minlength=len(first))
    touched = _distinct(group, row, len(first))
    keys = found.select(["check", "rule", "severity"]).take(first).to_pylist()
    rank = sorted(range(len(first)), key=lambda g: _rank(keys[g], int(touched[g]), int(counts[g])))
    quota = _quotas(counts[rank])
    starts = np.concatenate([[0], np.cumsum(counts)])
    shown = [order[starts[g] : starts[g] + quota[i]] for i, g in enumerate(rank)]
    worst = [row[order[starts[g] : starts[g] + ROWS_A_RULE]] for g in rank]
    top = _cut(_shown(found, shown))
    columns = _columns(found, group, len(first))
    return tuple(
        RuleFacts(
            **keys[g],
            findings=int(counts[g]),
            rows=int(touched[g]),
            share=float(touched[g] / max(source_rows, 1)),
            columns=columns[g],
            examples=_examples(worst[i]),
            top=top[i],
        )
        for i, g in enumerate(rank)
    )


def scores_of(found: Findings) -> tuple[ScoreHistogram, ...]:
    """Return a histogram over [0, 1] for every check whose findings differ in score."""
    edges = np.linspace(0, 1, BINS + 1)
    found = found.filter(pc.is_valid(found["row"]))  # a dataset has one score, not a distribution
    histograms = []
    for check in sorted(pc.unique(found["check"]).to_pylist()):
        mine = found.filter(pc.equal(found["check"], check))["score"].drop_null()
        values = mine.to_numpy()
        if len(values) and values.min() < values.max():
            counts = np.histogram(np.clip(values, 0, 1), edges)[0]
            histograms.append(ScoreHistogram(check, tuple(edges.tolist()), tuple(counts.tolist())))
    return tuple(histograms)


def _groups(found: Findings) -> tuple[np.ndarray, np.ndarray]:
    """Number the (check, rule, severity) groups; also return the first finding of each."""
    code = np.zeros(found.num_rows, np.int64)
    for name in ("check", "rule", "severity"):
        column = found[name].combine_chunks().dictionary_encode()
        code = code * len(column.dictionary) + column.indices.to_numpy(zero_copy_only=False)
    _, first, group = np.unique(code, return_index=True, return_inverse=True)
    return group, first


def _distinct(group: np.ndarray, row: np.ndarray, groups: int) -> np.ndarray:
    order = np.lexsort((row, group))
    g, r = group[order], row[order]
    is_new = np.ones(len(g), bool)
    is_new[1:] = (g[1:] != g[:-1]) | (r[1:] != r[:-1])
    return np.bincount(g[is_new & (r >= 0)], minlength=groups)


def _rank(key: Mapping[str, str], rows: int, count: int) -> tuple[object, ...]:
    severity = key["severity"]
    place = SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)
    return place, -max(rows, count), key["check"], key["rule"]


def _quotas(counts: np.ndarray) -> np.ndarray:
    """Share out the page's rows: each rule gets the same number before any gets more."""
    level = ROWS_A_RULE
    while level > 0 and np.minimum(counts, level).sum() > ROWS_IN_ALL:
        level -= 1
    quota: np.ndarray = np.minimum(counts, level)
    larger = np.flatnonzero(counts > level) if level < ROWS_A_RULE else np.array([], int)
    quota[larger[: ROWS_IN_ALL - quota.sum()]] += 1
    return quota


def _shown(found: Findings, shown: list[np.ndarray]) -> list[list[FindingFacts]]:
    chosen = found.take(np.concatenate(shown)) if shown else found.slice(0, 0)
    for name in ("evidence", "suggestion", "column"):
        # one character more than is shown, so that the page can mark the text as cut
        short = pc.utf8_slice_codeunits(chosen[name], 0, TEXT_LIMIT + 1)
        chosen = chosen.set_column(chosen.schema.get_field_index(name), name, short)
    rows = iter(chosen.drop_columns(["check", "rule", "severity"]).to_pylist())
    texts = ("column", "evidence", "suggestion")
    return [
        [
            FindingFacts(**{**row, **{text: row[text] or "" for text in texts}})
            for row in itertools.islice(rows, len(part))
        ]
        for part in shown
    ]


def _cut(parts: list[list[FindingFacts]]) -> list[tuple[FindingFacts, ...]]:
    """Drop the tail of each rule if the escaped texts would make the page too large."""
    sizes = [sum(map(_weight, part)) for part in parts]
    if sum(sizes) <= TEXT_IN_ALL:
        return [tuple(part) for part in parts]
    allowed = TEXT_IN_ALL // max(len(parts), 1)
    kept = []
    for part in parts:
        ends = np.cumsum([_weight(item) for item in part]) if part else np.array([])
        kept.append(tuple(part[: int((ends <= allowed).sum())]))
    return kept


def _weight(item: FindingFacts) -> int:
    texts = printable(item.evidence + item.suggestion + item.column)
    return MARKUP_A_ROW + len(html.escape(texts).encode())


def _examples(rows: np.ndarray) -> tuple[int, ...]:
    return tuple(dict.fromkeys(rows[rows >= 0].tolist()))[:EXAMPLES]


def _columns(found: Findings, group: np.ndarray, groups: int) -> list[tuple[str, ...]]:
    pairs = pa.table({"group": group, "column": found["column"]})
    counted = pairs.filter(pc.is_valid(pairs["column"])).group_by(["group", "column"])
    by_count = [("column_count", "descending"), ("column", "ascending")]
    named: list[list[str]] = [[] for _ in range(groups)]
    for item in counted.aggregate([("column", "count")]).sort_by(by_count).to_pylist():
        named[item["group"]].append(item["column"])
    return [tuple(names[:COLUMNS]) for names in named]
