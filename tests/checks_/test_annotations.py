"""Tags, spans and lists of labels: each fault in a row, and near misses."""

import numpy as np
import pyarrow as pa
import pytest

from checks.contract.loader import load
from checks.kit import registry
from checks.kit.contract_model import Column, Contract
from checks.kit.protocol import Context
from checks.label_lists import LabelLists
from checks.spans import Spans
from checks.tags import Tags
from provenance.base.errors import AssayError
from provenance.rows.column_types import ColumnSpec
from provenance.rows.nested import flat_names
from provenance.rows.shards import Shard

ENDS = (ColumnSpec("start", "integer"), ColumnSpec("end", "integer"))
SPECS = {
    "text": ColumnSpec("text"),
    "tokens": ColumnSpec("tokens", "array", items=ColumnSpec("items")),
    "tags": ColumnSpec("tags", "array", items=ColumnSpec("items", "integer")),
    "labels": ColumnSpec("labels", "array", items=ColumnSpec("items")),
    "spans": ColumnSpec("spans", "array", items=ColumnSpec("items", "object", properties=ENDS)),
}


def judged(kind, others=None, **cells):
    specs = SPECS | (others or {})
    columns = tuple(Column(specs[name], roles=frozenset({name})) for name in cells)
    contract = Contract("t", "1", "t.yaml", "0" * 64, columns)
    made = {
        name: values if isinstance(values, pa.Array) else pa.array(values, specs[name].arrow)
        for name, values in cells.items()
    }
    table = pa.table(made)
    flat = flat_names(table.schema)
    check = kind(Context(contract, table.select(flat).schema, len(table)))
    rows = np.arange(len(table))
    digests = np.zeros((len(table), 32), np.uint8)
    shard = Shard(0, table.select(flat), rows, digests, table.drop_columns(flat))
    none = Shard(1, shard.table.slice(0, 0), rows[:0], digests[:0], shard.nested.slice(0, 0))
    model = check.finish(check.merge(check.fit(shard), check.fit(none)))
    found = [*model.overall.to_pylist(), *check.score(shard, model).to_pylist()]
    return [(item["row"], item["rule"], item["severity"]) for item in found]


def test_one_tag_for_each_token():
    found = judged(
        Tags,
        tokens=[["a", "b"], ["a"], [], None, ["a", "b"], ["a"]],
        tags=[[0, 1], [0, 1], [], [1], [0, None], None],
    )
    assert found == [(4, "tags.gap", "error"), (1, "tags.length", "error")]


def test_spans_in_texts_of_any_type():
    """A text may be coded; a column of another type with the role `text` has no characters."""
    ends = pa.array([[{"start": 0, "end": 4}]], SPECS["spans"].arrow)
    for text, count in ((pa.array(["abc"]).dictionary_encode(), 1), (pa.array([1]), 0)):
        assert len(judged(Spans, text=text, spans=ends)) == count


BIO = [["O", "B-PER", "I-PER", "O", "B-LOC", "B-LOC", "I-LOC"], ["O", "I"], [], None]
WRONG = [["O", "I-PER"], ["I-PER"], ["B-PER", "I-LOC"], ["B-LOC", "O", "I-LOC"]]


def test_an_entity_begins_before_it_is_continued():
    spec = ColumnSpec("tags", "array", items=ColumnSpec("items"))
    usual = BIO * 30
    for wrong in WRONG:
        found = judged(Tags, {"tags": spec}, tags=[*usual, wrong])
        assert found == [(120, "tags.begin", "error")]
    assert judged(Tags, {"tags": spec}, tags=usual) == []
    many = [*usual, *WRONG * 3]
    assert judged(Tags, {"tags": spec}, tags=many) == [(None, "tags.begin", "warning")]
    # the last tag of a row does not begin the entity of the next
    assert judged(Tags, {"tags": spec}, tags=[*usual, ["B-PER"], ["I-PER"]]) == [
        (121, "tags.begin", "error")
    ]


@pytest.mark.parametrize(
    ("text", "start", "end", "is_wrong"),
    [
        ("abc", 0, 3, False),
        ("äöü", 0, 3, False),
        ("abc", 0, 4, True),
        ("abc", -1, 2, True),
        ("abc", 2, 2, True),
        ("abc", 2, 1, True),
        ("abc", None, 1, True),
        (None, 0, 1, True),
    ],
)
def test_spans_lie_in_their_text(text, start, end, is_wrong):
    spans = [[{"start": 0, "end": 1}, {"start": start, "end": end}], [], None]
    found = judged(Spans, text=[text, "", "x"], spans=spans)
    assert found == [(0, "spans.outside", "error")] * is_wrong


def test_a_label_occurs_once_in_a_row():
    found = judged(LabelLists, labels=[["a", "b"], ["a", "b", "a"], [], None, ["a"], ["a"]])
    assert found == [(1, "label_lists.repeated", "error")]


def test_a_run_without_the_roles_says_nothing_of_these_checks():
    columns = (Column(ColumnSpec("x")),)
    context = Context(Contract("t", "1", "t.yaml", "0" * 64, columns), pa.schema([]), 1)
    chosen, skipped = registry.select(context)
    names = {"tags", "spans", "label_lists", "label_sets", "messages", "embeddings"}
    assert not names & {*chosen, *skipped}


HEAD = """
apiVersion: v3.1.0
kind: DataContract
name: t
schema:
  - name: t
    properties:
      - name: x
        logicalType: {}
        customProperties: [{{property: assay.role, value: {}}}]
"""
ARRAY = "array\n        items: {logicalType: string}"


@pytest.mark.parametrize(
    ("kind", "role"),
    [
        ("string", "messages"),
        ("string", "tags"),
        (ARRAY, "embedding"),
        (ARRAY, "messages"),
        (ARRAY, "spans"),
        (ARRAY, "label"),
        (ARRAY, "text"),
        (ARRAY, "quasi_identifier"),
    ],
)
def test_a_role_that_does_not_fit_its_column_is_refused(tmp_path, kind, role):
    (tmp_path / "c.yaml").write_text(HEAD.format(kind, role))
    with pytest.raises(AssayError, match="C008"):
        load(tmp_path / "c.yaml")
    (tmp_path / "c.yaml").write_text(HEAD.format(ARRAY, "labels"))
    assert load(tmp_path / "c.yaml").having("labels") == ("x",)
