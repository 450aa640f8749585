"""Laws of decisions over drawn histories: nights of rows that come, change, move and are decided.

No decision is lost, none is applied to a row of other content, and what stands does not depend on
the order of the rows.
"""

from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from checks.kit import findings
from checks.kit.contract_model import Column, Contract, Policy
from pipelines.store import decisions
from pipelines.store.decisions import History
from pipelines.store.opinions import ID, WORDS, Decision
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import unpacked

RULES = ("outliers.joint", "labels.contradicted", "poison.trigger")
CONTENTS = st.integers(0, 5)
NIGHTS = st.lists(CONTENTS, min_size=1, max_size=9)
STEP = st.fixed_dictionaries(
    {
        "rows": NIGHTS,
        "accused": st.dictionaries(st.integers(0, 8), st.sets(st.sampled_from(RULES), min_size=1)),
        "decided": st.dictionaries(
            st.integers(0, 8), st.sampled_from([word for word in WORDS if word != "approve"])
        ),
    }
)


def id_of(content):
    return bytes([content]) * 32


def located(rows, history):
    ids = unpacked(pa.chunked_array([pa.array([id_of(content) for content in rows], ID)]))
    cut = len(rows) // 2  # as two shards, the second first
    ordinals = np.arange(len(rows))
    pieces = [(ids[cut:], ordinals[cut:]), (ids[:cut], ordinals[:cut])]
    return decisions.locate(pieces, history.ids())


def judged(history, step, contract, number):
    places = {row: rules for row, rules in step["accused"].items() if row < len(step["rows"])}
    found = findings.concat(
        [findings.make([row], check="x", rule=rule) for row, rules in places.items()
         for rule in sorted(rules)]
    )  # fmt: skip
    return history.judge(located(step["rows"], history), contract, found, number)


class Model:
    """What should stand, kept the plain way: for each copy of a content, a stack of decisions."""

    def __init__(self):
        self.stacks, self.made = {}, []

    def decide(self, step, number):
        seen = Counter()
        for row, content in enumerate(step["rows"]):
            at = (id_of(content), seen[content])
            seen[content] += 1
            if (word := step["decided"].get(row)) is None:
                continue
            accused = frozenset(f"{rule} " for rule in step["accused"].get(row, ()))
            decision = Decision(row, word, "a", "v", None, "ann", at, None, accused, number,
                                number, f"2026-01-{number:02d}")  # fmt: skip
            self.made.append(decision)
            stack = self.stacks.setdefault(at, [])
            if word == "undo":
                del stack[-1:]
            elif word == "forget":
                stack.clear()
            else:
                stack.append(decision)

    def expected(self, step):
        seen, wanted, lapsed = Counter(), {}, set()
        for row, content in enumerate(step["rows"]):
            at = (id_of(content), seen[content])
            seen[content] += 1
            if not (stack := self.stacks.get(at)):
                continue
            now = {f"{rule} " for rule in step["accused"].get(row, ())}
            if stack[-1].decision == "reject" or now <= stack[-1].accused:
                wanted[row] = stack[-1]
            else:
                lapsed.add(row)
        return wanted, lapsed


@given(st.lists(STEP, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_decisions_stand_for_their_content_and_for_nothing_else(steps, random):
    contract, model = _contract(), Model()
    for number, step in enumerate(steps, 1):
        history = History.made_of(model.made, number - 1)
        result = judged(history, step, contract, None)
        wanted, lapsed = model.expected(step)
        assert {row: item.last for row, item in result.standing.items()} == wanted
        assert result.lapsed.keys() == lapsed
        for row, item in result.standing.items():
            assert item.last.identity[0] == id_of(step["rows"][row])
        moved = step["rows"][:]
        random.shuffle(moved)
        calm = {**step, "accused": {}}
        counts = [
            Counter(item.last.entry for item in judged(history, each, contract, None)
                    .standing.values())
            for each in (calm, {**calm, "rows": moved})
        ]  # fmt: skip
        assert counts[0] == counts[1]
        model.decide(step, number)


@given(st.lists(STEP, min_size=1, max_size=4), STEP, st.integers(1, 40))
def test_a_decision_older_than_the_contract_allows_stands_no_more(steps, last, days):
    model = Model()
    for number, step in enumerate(steps, 1):
        model.decide(step, number)
    history = History.made_of(model.made, len(steps))
    never = judged(history, last, _contract(), None)
    limited = judged(history, last, _contract(days), None)
    assert not limited.standing  # all of these are of January 2026
    assert limited.lapsed.keys() == never.standing.keys() | never.lapsed.keys()


def _contract(days=None):
    columns = (Column(ColumnSpec("a")),)
    return Contract("n", "1", "", "", columns, policy=Policy(decisions_valid=days))
