"""The JSON Schema judges as the loader does wherever a schema can judge."""

import copy
import json
import re
from pathlib import Path

import bad_contracts
import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checks.contract.columns import PROPERTY
from checks.contract.expectation_gallery import ARGUMENTS
from checks.contract.json_schema import json_schema
from checks.contract.loader import CONTRACT, load
from checks.contract.node import OLD_WORDS
from checks.contract.quality_rules import KINDS as RULES
from checks.contract.yaml_reader import parse
from pipelines import cli
from provenance.base.errors import AssayError

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "docs" / "contract.md").read_text()
EXAMPLE = EXAMPLE.split("```yaml\n")[1].partition("```")[0]
SCHEMA = jsonschema.Draft202012Validator(json_schema())


def as_read(node, *, old=False):
    """Return plain data as a reader of YAML 1.2 has it, to whom a bare `off` is a text; or 1.1."""
    if isinstance(node.value, dict):
        return {key: as_read(item, old=old) for key, item in node.value.items()}
    if isinstance(node.value, list):
        return [as_read(item, old=old) for item in node.value]
    is_word = node.is_plain and node.text.lower() in OLD_WORDS
    return node.text if is_word and not old else node.value


def errors(text, *, old=False):
    return list(SCHEMA.iter_errors(as_read(parse(text.encode(), "x"), old=old)))


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_the_command_writes_it(tmp_path, capsys):
    assert cli.main(["init", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema()
    path = tmp_path / "contract.schema.json"
    assert cli.main(["init", "--schema", "-o", str(path)]) == 0
    assert json.loads(path.read_text()) == json_schema()
    assert f"$schema={path.name}" in capsys.readouterr().out
    assert cli.main(["init", "--schema", "-o", str(path)]) == 2
    assert cli.main(["init", "--schema", "-o", str(path), "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["json_schema"] == str(path)
    assert cli.main(["init", "--schema", "data.csv"]) == 2
    assert cli.main(["init"]) == 2
    assert "ASSAY-C012" in capsys.readouterr().err


def contracts():
    """Yield every contract that this repository holds: files, and blocks of the documentation."""
    for path in ROOT.rglob("*.yaml"):
        parts = path.relative_to(ROOT).parts
        if not parts[0].startswith(".") and "apiVersion" in path.read_text():
            yield str(path.relative_to(ROOT)), path.read_text()
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        blocks = re.findall(r"```ya?ml\n(.*?)```", path.read_text(), re.DOTALL)
        for number, block in enumerate(blocks):
            if "apiVersion" in block:
                yield f"{path.name}-{number}", block


@pytest.mark.parametrize(("_", "text"), list(contracts()), ids=[name for name, _ in contracts()])
def test_every_contract_here_keeps_it(_, text):
    assert errors(text) == []


def test_there_are_contracts_here():
    assert {"data_samples/contract.yaml", "contract.md-0"} <= {name for name, _ in contracts()}


@pytest.mark.parametrize("key", ["loan_id"])
def test_an_inferred_contract_keeps_it(tmp_path, key, capsys):
    path = tmp_path / "contract.yaml"
    source = ROOT / "data_samples" / "loans_clean.csv"
    words = ["init", str(source), "--key", key, "--label", "defaulted", "-o", str(path)]
    assert cli.main(words) == 0
    assert errors(path.read_text()) == []
    capsys.readouterr()


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
        ("kwargs: {min_value", "kwargs: {min_valeu"),
        ("alpha: 0.1", "alpha: 2"),
        ("fail_on: error", "fail_on: errors"),
        ("max_columns: 200", "max_colums: 200"),
        ("mustBe: 0", 'mustBe: "0"'),
        ("mustBe: 0", "mustBe: 0, mustNotBe: 1"),
        ("drift: off", "drfit: off"),
        ("schema:", "shcema:"),
    ],
)
def test_what_is_misspelt_is_marked(right, wrong):
    assert right in EXAMPLE
    assert errors(EXAMPLE.replace(right, wrong, 1))


def test_other_tools_properties_are_left_alone():
    other = "{property: sodaThing, value: {a: 1}}"
    assert errors(EXAMPLE.replace("{property: assay.role, value: time}", other)) == []


# what the loader alone can know, as words of its messages
SEMANTIC = re.compile(
    r"octal|finite number|too many digits|64 bits|needs a column|rowCount counts|validValues\[|"
    r"value_set|is not an ISO|does not say what is valid|of a dataset needs|"
    r"unsupported encoding"
)


JUDGED = [case[:3] for case in bad_contracts.CASES if case[2] in (None, "C004", "C005")]


@pytest.mark.parametrize(
    ("_", "contract", "code"), JUDGED, ids=[f"{case[2]}-{case[0]}" for case in JUDGED]
)
def test_bad_contracts_are_judged_alike(tmp_path, _, contract, code):
    text = contract.decode() if isinstance(contract, bytes) else contract
    if code is None:
        assert errors(text.removeprefix("\ufeff")) == []
        return
    path = tmp_path / "contract.yaml"
    path.write_text(text)
    with pytest.raises(AssayError) as caught:
        load(path)
    try:
        found = errors(text) or errors(text, old=True)
    except AssayError:
        return  # no YAML, so no editor gets as far as its schema
    assert found or SEMANTIC.search(caught.value.what), caught.value.what


# a generated corpus: contracts as plain data, written as JSON, which is YAML
NAMES = ("id", "name", "day", "amount", "flag")
KINDS = dict(zip(NAMES, ("integer", "string", "date", "number", "boolean"), strict=True))
ENDS = {"integer": (1, 9), "number": (0.5, 2.5), "date": ("2020-01-01", "2021-01-01")}


def one_of(*items):
    return st.sampled_from(items)


@st.composite
def rules(draw, column=None):
    bound = draw(one_of({"mustBe": 0}, {"mustBeLessThan": 5, "unit": "percent"},
                        {"mustBeBetween": [0, 3]}))  # fmt: skip
    severity = draw(one_of({}, {"severity": "warning"}, {"severity": "info"}))
    if column is None:
        kind = draw(one_of("rowCount", "duplicates", "text", "other"))
        made = {
            "rowCount": {"metric": "rowCount", "mustBeGreaterOrEqualTo": 1},
            "duplicates": {
                "metric": "duplicateValues",
                "arguments": {"properties": ["id"]},
                **bound,
            },
            "text": {"type": "text", "description": "for people"},
            "other": {"type": "custom", "engine": "soda", "implementation": "checks: x"},
        }[kind]
        return {**made, **severity}
    kind = draw(one_of("nullValues", "missingValues", "duplicateValues", "expectation"))
    if kind == "expectation":
        implementation = {"type": draw(one_of("expect_column_values_to_not_be_null",
                                              "expect_column_values_to_be_unique")),
                          "kwargs": {"mostly": 0.9}}  # fmt: skip
        return {"type": "custom", "engine": "greatExpectations",
                "implementation": implementation, **severity}  # fmt: skip
    arguments = {"arguments": {"missingValues": ["", "NA"]}} if kind == "missingValues" else {}
    return {"metric": kind, **arguments, **bound, **severity}


@st.composite
def properties(draw, name):
    kind = KINDS[name]
    made = {"name": name, "logicalType": kind}
    made |= draw(one_of({}, {"required": True}, {"unique": True}, {"primaryKey": True}))
    if kind in ENDS:
        low, high = ENDS[kind]
        made |= draw(one_of({}, {"logicalTypeOptions": {"minimum": low, "maximum": high}}))
    if kind == "string":
        made |= draw(one_of({}, {"logicalTypeOptions": {"minLength": 1, "format": "email"}}))
    if listed := draw(st.lists(rules(column=name), max_size=2)):
        made["quality"] = listed
    own = [{"property": "assay.role", "value": draw(one_of("ignore", ["quasi_identifier"]))},
           {"property": "assay.missing", "value": ["NA"]}]  # fmt: skip
    other = [{"property": "soda.thing", "value": {"a": [1]}}]
    made["customProperties"] = draw(one_of(own, other, own + other, []))
    return made


@st.composite
def valid_contracts(draw):
    names = draw(st.lists(one_of(*NAMES), min_size=1, max_size=4, unique=True))
    table = {"name": "t", "properties": [draw(properties(name)) for name in {*names, "id"}]}
    if listed := draw(st.lists(rules(), max_size=2)):
        table["quality"] = listed
    own = [
        {"property": "assay.policy", "value": {"alpha": 0.2, "fail_on": "warning"}},
        {"property": "assay.checks", "value": {"drift": "off", "poison": {"sample": 9}}},
        {"property": "assay.limits", "value": {"max_columns": 9, "check_seconds": 1.5}},
    ]
    return {
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": "t", "version": "1.0.0",
        "servers": draw(one_of([], [{"server": "local", "type": "local", "path": "t.csv"}])),
        "schema": [table],
        "customProperties": draw(st.lists(one_of(*own), max_size=3, unique_by=json.dumps)),
    }  # fmt: skip


def places(data, path=()):
    """Yield the path of every value."""
    yield path
    if isinstance(data, dict | list):
        for key, item in data.items() if isinstance(data, dict) else enumerate(data):
            yield from places(item, (*path, key))


ODD = (None, True, 0, -3, 7, 0.5, "", "x", "error", [], ["x"], {}, {"x": 1}, "2020-13-01", 1e300)


@st.composite
def mutants(draw):
    """Draw a valid contract with one value replaced, one key misspelt, dropped or added."""
    contract = copy.deepcopy(draw(valid_contracts()))
    *above, last = draw(st.sampled_from([path for path in places(contract) if path]))
    inner = contract
    for key in above:
        inner = inner[key]
    change = draw(one_of("replace", "replace", "misspell", "drop", "add", "swap"))
    if change == "replace" or isinstance(inner, list):
        inner[last] = draw(one_of(*ODD))
    elif change == "misspell":
        inner[last + "x"] = inner.pop(last)
    elif change == "drop":
        del inner[last]
    elif change == "swap":
        inner[last.swapcase()] = inner.pop(last)
    else:
        known = one_of(*PROPERTY.known, *RULES["text"].known, *CONTRACT.known, *ARGUMENTS, "zzz")
        inner[draw(known)] = draw(one_of(*ODD))
    return contract


def refusal(folder, contract):
    path = folder / "contract.yaml"
    path.write_text(json.dumps(contract, ensure_ascii=False))
    try:
        load(path)
    except AssayError as error:
        return error
    return None


SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)


@SLOW
@given(valid_contracts())
def test_valid_contracts_are_taken_by_both(tmp_path_factory, contract):
    assert refusal(tmp_path_factory.mktemp("c"), contract) is None
    assert list(SCHEMA.iter_errors(contract)) == []


@settings(SLOW, max_examples=250)
@given(mutants())
def test_mutated_contracts_are_judged_alike(tmp_path_factory, contract):
    told = refusal(tmp_path_factory.mktemp("c"), contract)
    marked = [error.message for error in SCHEMA.iter_errors(contract)]
    if marked:
        assert told, marked  # the schema refuses nothing that the loader takes
    elif told:
        knows_more = told.code not in ("ASSAY-C004", "ASSAY-C005") or SEMANTIC.search(told.what)
        assert knows_more, str(told)
