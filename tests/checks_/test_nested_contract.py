"""Nested columns in contracts: what is read and refused, and the rules on their parts."""

import jsonschema
import numpy as np
import pyarrow as pa
import pytest
import yaml

from checks.contract.json_schema import json_schema
from checks.contract.loader import load
from checks.pii import Pii
from checks.rules import nested_rules
from provenance.base.errors import AssayError
from provenance.rows.shards import Shard

HEAD = """
apiVersion: v3.1.0
kind: DataContract
name: chats
schema:
  - name: chats
    properties:
      - name: i
        logicalType: integer
      - name: m
        logicalType: array
        logicalTypeOptions: {minItems: 1, maxItems: 3}
        required: true
        items:
          logicalType: object
          properties:
            - name: role
              logicalType: string
              required: true
              quality:
                - {metric: invalidValues, arguments: {validValues: [user, bot]}, mustBe: 0}
            - name: text
              logicalType: string
              logicalTypeOptions: {minLength: 2, pattern: "^[a-z ]+$"}
            - name: at
              logicalType: date
              logicalTypeOptions: {minimum: "2024-01-01"}
      - name: e
        logicalType: array
        logicalTypeOptions: {uniqueItems: true}
        items:
          logicalType: number
          logicalTypeOptions: {minimum: 0, exclusiveMaximum: 1}
      - name: b
        logicalType: string
        logicalTypeOptions: {format: binary}
"""


def loaded(tmp_path, text=HEAD):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return load(path)


def test_a_nested_column_is_described_as_the_standard_writes_it(tmp_path):
    contract = loaded(tmp_path)
    kind = contract.column("m").spec.arrow
    assert kind == pa.list_(
        pa.struct([("role", pa.string()), ("text", pa.string()), ("at", pa.date32())])
    )
    assert contract.column("b").spec.is_binary
    assert contract.features == ("i", "b")
    assert contract.nested_features == ("m", "e")
    assert contract.warnings == ()
    assert jsonschema.Draft202012Validator(json_schema()).is_valid(yaml.safe_load(HEAD))


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("logicalTypeOptions: {minItems: 1, maxItems: 3}", "unique: true", "C008"),
        ("logicalTypeOptions: {minItems: 1, maxItems: 3}", "primaryKey: true", "C008"),
        ("minItems: 1", "minItems: 5", "C008"),
        ("minItems: 1", "minItem: 1", "C004"),
        ("name: text", "name: role", "C008"),
        ("          logicalType: number\n", "          logicalType: numbr\n", "C005"),
        ("        items:\n          logicalType: number", "        x:\n          y: z", "C004"),
        ("mustBe: 0", "mustBeLessThan: 5", "C008"),
        ("metric: invalidValues, arguments: {validValues: [user, bot]}", ("type: sql, query: "
         "SELECT 1"), "C008"),
        ("required: true\n        items", ("customProperties: [{property: assay.missing, value: "
         "[x]}]\n        items"), "C008"),
        ("            - name: text", ("            - name: text\n              customProperties: "
         "[{property: assay.pii, value: allow}]"), "C004"),
    ],
)  # fmt: skip
def test_what_has_no_meaning_for_a_part_is_refused(tmp_path, old, new, code):
    text = HEAD.replace(old, new)
    assert text != HEAD
    with pytest.raises(AssayError) as caught:
        loaded(tmp_path, text)
    assert caught.value.code == f"ASSAY-{code}"


def test_sql_rules_reach_nested_columns_and_metrics_of_one_value_do_not(tmp_path):
    rule = "    quality:\n      - {type: sql, query: 'SELECT max(len(m)) FROM ${table}', mustBe: 3}"
    assert loaded(tmp_path, HEAD.replace("    properties:", rule + "\n    properties:", 1)).rules
    keys = "{metric: duplicateValues, arguments: {properties: [i, m]}, mustBe: 0}"
    bad = f"    quality:\n      - {keys}"
    with pytest.raises(AssayError, match="C008"):
        loaded(tmp_path, HEAD.replace("    properties:", bad + "\n    properties:", 1))


def message(**parts):
    return {"role": "user", "text": "hello", "at": None, **parts}


@pytest.mark.parametrize(
    ("column", "cell", "rule", "path"),
    [
        ("m", None, "ASSAY-V010", "m"),
        ("m", [], "m.minItems", "m"),
        ("m", [message()] * 4, "m.maxItems", "m"),
        ("m", [message(), message(role=None)], "ASSAY-V010", "m[].role"),
        ("m", [message(role="root")], "m[].role.validValues", "m[].role"),
        ("m", [message(text="x")], "m[].text.minLength", "m[].text"),
        ("m", [message(text="HELLO")], "m[].text.pattern", "m[].text"),
        ("m", [message(at=np.datetime64("2023-12-31").item())], "m[].at.minimum", "m[].at"),
        ("e", [0.5, -0.1], "e[].minimum", "e[]"),
        ("e", [1.0], "e[].maximum", "e[]"),
        ("e", [0.5, 0.5], "e.uniqueItems", "e"),
        ("m", [message(text=None, at=None)], None, None),
        ("m", [None], None, None),
        ("e", [None, 0.0], None, None),
        ("e", None, None, None),
    ],
)
def test_rules_on_parts(tmp_path, column, cell, rule, path):
    contract = loaded(tmp_path)
    cells = {"m": [[message()]] * 3, "e": [[0.1]] * 3}
    cells[column][1:2] = [cell]
    arrays = {name: pa.array(cells[name], contract.column(name).spec.arrow) for name in cells}
    rows = np.array([4, 5, 6])
    shard = Shard(0, pa.table(arrays), rows, np.zeros((3, 32), np.uint8))
    found = nested_rules.evaluate(shard, contract).to_pylist()
    wanted = [(5, rule, path)] if rule else []
    assert [(f["row"], f["rule"], f["column"]) for f in found] == wanted


def test_personal_data_in_parts_are_found_once_a_row_and_replaced_in_place(tmp_path):
    text = HEAD.replace("      - name: e", "      - name: mail\n        logicalType: string\n"
                        "      - name: e")  # fmt: skip
    contract = loaded(tmp_path, text)
    kind = contract.column("m").spec.arrow
    hit = message(text="write to a@example.org")
    cells = pa.array([[message()], [hit, hit], None, [hit]], kind)
    found = Pii.scan_clean(pa.table({"m": cells, "b": [b"a@example.org"] * 4}), contract)
    assert [(f["row"], f["rule"], f["column"]) for f in found.to_pylist()] == [
        (1, "pii.EMAIL_ADDRESS", "m[].text"),
        (3, "pii.EMAIL_ADDRESS", "m[].text"),
    ]
    clean = Pii.redact(cells, "m", contract)
    assert clean.type == kind
    assert clean[1].as_py() == [message(text="write to <EMAIL_ADDRESS>")] * 2
    assert clean[2].as_py() is None
    assert Pii.scan_clean(pa.table({"m": clean}), contract).num_rows == 0
