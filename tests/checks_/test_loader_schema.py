"""The JSON Schema accepts what the loader accepts, and marks what an editor can know."""

from pathlib import Path

import jsonschema
import pytest

from checks.kit.json_schema import json_schema
from checks.kit.yaml_reader import parse

EXAMPLE = (Path(__file__).parents[2] / "docs" / "contract.md").read_text()
EXAMPLE = EXAMPLE.split("```yaml\n")[1].partition("```")[0]
SCHEMA = jsonschema.Draft202012Validator(json_schema())


def errors(text):
    return list(SCHEMA.iter_errors(parse(text.encode(), "x").plain()))


def test_the_schema_is_a_schema_and_accepts_the_example():
    jsonschema.Draft202012Validator.check_schema(json_schema())
    assert errors(EXAMPLE) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("required: true", "requierd: true"),
        ("metric: rowCount", "metric: rowCont"),
        ("severity: warning", "severity: bad"),
        ("logicalType: date", "logicalType: dat"),
        ("assay.role, value: time", "assay.role, value: tiem"),
        ("assay.pii, value", "assay.pi, value"),
        ("expect_column_median_to_be_between", "expect_column_medain_to_be_between"),
        ("alpha: 0.1", "alpha: 2"),
        ("fail_on: error", "fail_on: errors"),
        ("max_columns: 200", "max_colums: 200"),
        ("mustBe: 0", 'mustBe: "0"'),
        ("schema:", "shcema:"),
    ],
)
def test_what_is_misspelt_is_marked(right, wrong):
    assert right in EXAMPLE
    assert errors(EXAMPLE.replace(right, wrong))


def test_other_tools_properties_are_left_alone():
    other = "{property: sodaThing, value: {a: 1}}"
    assert errors(EXAMPLE.replace("{property: assay.role, value: time}", other)) == []
