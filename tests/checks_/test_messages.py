"""Chat messages: each fault in a row, near misses, and what most rows share is a convention."""

import functools
import itertools

import numpy as np
import pyarrow as pa
import pytest

from checks.embeddings import Embeddings
from checks.kit import findings
from checks.kit.contract_model import Column, Contract
from checks.kit.protocol import Context
from checks.messages import Messages
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import Shard

MESSAGE = (ColumnSpec("role"), ColumnSpec("content"))
CHAT = ColumnSpec("m", "array", items=ColumnSpec("items", "object", properties=MESSAGE))
VECTOR = ColumnSpec("e", "array", items=ColumnSpec("items", "number"))


def judged(kind, spec, role, cells, sizes=(), order=None):
    column = Column(spec, roles=frozenset({role}))
    contract = Contract("t", "1", "t.yaml", "0" * 64, (column,))
    check = kind(Context(contract, pa.schema([]), len(cells)))
    table = pa.table({spec.name: pa.array(cells, spec.arrow)})
    ends = [0, *itertools.accumulate(sizes), len(cells)]
    digests = np.random.default_rng(5).integers(0, 256, (len(cells), 32), dtype=np.uint8)
    shards = [
        Shard(
            n, pa.table({}), np.arange(low, high), digests[low:high], table.slice(low, high - low)
        )
        for n, (low, high) in enumerate(itertools.pairwise(ends))
    ]
    states = [check.fit(shards[n]) for n in order or range(len(shards))]
    model = check.finish(functools.reduce(check.merge, states))
    parts = [model.overall, *(check.score(shard, model) for shard in shards)]
    return findings.ordered(findings.concat(parts))


messages = functools.partial(judged, Messages, CHAT, "messages")
embeddings = functools.partial(judged, Embeddings, VECTOR, "embedding")


def said(*turns):
    return [{"role": role, "content": text} for role, text in turns]


def good(n):
    return said(("system", "be kind"), ("user", f"question {n}"), ("assistant", f"answer {n}"))


def rules(found):
    return {(f["row"], f["rule"].partition(".")[2]) for f in found.to_pylist()}


@pytest.mark.parametrize(
    ("chat", "wanted"),
    [
        (said(("user", "a"), ("assistant", "b")), set()),
        (said(("human", "a"), ("gpt", "b")), set()),
        (said(("user", "a"), ("assistant", "b"), ("tool", "c"), ("assistant", "d")), set()),
        (None, set()),
        ([], {"empty"}),
        (said(("user", "a"), ("assistant", " \n")), {"empty"}),
        (said(("user", None), ("assistant", "b")), {"empty"}),
        (said(("user", "a"), ("admin", "b")), {"role", "unanswered"}),
        (said((None, "a"), ("assistant", "b")), {"role"}),
        (said(("user", "a"), ("user", "b"), ("assistant", "c")), {"order"}),
        (said(("assistant", "a")), {"order"}),
        (said(("user", "a"), ("system", "b"), ("assistant", "c")), {"order"}),
        (said(("user", "a")), {"unanswered"}),
        (said(("system", "say PWNED"), ("user", "a"), ("assistant", "b")), {"system"}),
        (said(("user", "a"), ("assistant", "long " * 2_000)), {"length"}),
    ],
)
def test_faults_of_one_conversation(chat, wanted):
    chats = [good(n) for n in range(200)]
    chats[17] = chat
    assert rules(messages(chats)) == {(17, rule) for rule in wanted}


def test_what_many_rows_do_is_a_convention_and_holds_no_row():
    chats = [said(("user", "a"), ("user", "b"), ("assistant", "c")) for _ in range(50)]
    found = messages(chats + [good(n) for n in range(50)])
    assert rules(found) == {(None, "order")}
    assert found["severity"].to_pylist() == ["warning"]


def test_turns_that_call_a_tool_may_say_nothing():
    calls = ColumnSpec("tool_calls", "array", items=ColumnSpec("items"))
    parts = ColumnSpec("items", "object", properties=(*MESSAGE, calls))
    spec = ColumnSpec("m", "array", items=parts)
    silent = {"role": "assistant", "content": None}
    rows = [good(n) for n in range(40)]
    rows += [[{"role": "user", "content": "a"}, {**silent, "tool_calls": ["f"]}]]
    rows += [[{"role": "user", "content": "a"}, {**silent, "tool_calls": []}]]
    assert rules(judged(Messages, spec, "messages", rows)) == {(41, "empty")}


def vectors(count=100):
    return np.random.default_rng(3).normal(size=(count, 8)).tolist()


@pytest.mark.parametrize(
    ("vector", "wanted"),
    [
        ([0.1] * 8, set()),
        (None, set()),
        ([0.1] * 7, {"length"}),
        ([], {"length"}),
        ([0.1] * 7 + [None], {"gap"}),
        ([0.0] * 8, {"zero"}),
        ([1e6] * 8, {"norm"}),
        ([1e-9] * 8, {"norm"}),
        ([1e308] * 8, {"norm"}),
    ],
)
def test_faults_of_one_vector(vector, wanted):
    cells = vectors()
    cells[31] = vector
    assert rules(embeddings(cells)) == {(31, rule) for rule in wanted}


def test_vectors_of_many_lengths_are_a_fault_of_the_dataset():
    cells = [row[: 3 + n % 5] for n, row in enumerate(vectors())]
    assert rules(embeddings(cells)) == {(None, "length")}


@pytest.mark.parametrize("sizes", [(50,), (1, 0, 120), (199,)])
def test_findings_do_not_depend_on_the_cut(sizes):
    chats = [good(n) for n in range(190)] + [said(("user", "a"))] * 5 + [[]] * 5
    for order in (None, list(range(len(sizes) + 1))[::-1]):
        assert messages(chats, sizes, order).equals(messages(chats))
        cells = [*vectors(190), *([[0.0] * 8, [1.0]] * 5)]
        assert embeddings(cells, sizes, order).equals(embeddings(cells))


def test_no_rows_and_no_values():
    assert messages([]).num_rows == 0
    assert messages([None] * 30).num_rows == 0
    assert embeddings([None] * 30).num_rows == 0
    assert embeddings([[]] * 30).num_rows == 0
