"""Contracts are read as the standard says, or refused with a code, a place and the nearest name."""

import dataclasses
import os
import textwrap
from pathlib import Path
from typing import get_args

import pytest

from checks.contract.assay_settings import LIMITS, POLICY
from checks.contract.loader import load
from checks.contract.type_rules import OPTIONS, VALUES
from checks.kit.contract_model import Policy
from provenance.base.errors import AssayError
from provenance.base.limits import Limits
from provenance.rows.column_types import NESTED, Logical

HEAD = """\
apiVersion: v3.1.0
kind: DataContract
name: people
version: 1.0.0
schema:
  - name: people
    properties:
      - name: age
        logicalType: integer
"""


@pytest.fixture
def contract(tmp_path):
    def write(text, name="contract.yaml", **settings):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(path, **settings)

    return write


def with_property(text):
    return HEAD + textwrap.indent(textwrap.dedent(text), " " * 8)


def with_setting(name, value):
    return HEAD + f"customProperties:\n  - property: {name}\n    value: {value}\n"


def quality(text):
    return with_property("quality:\n  - " + text + "\n")


WHOLE = """\
apiVersion: v3.1.0
kind: DataContract
name: people
version: 1.0.0
schema:
  - name: people
    properties:
      - name: age
        logicalType: integer
        required: true
        logicalTypeOptions: {minimum: 0, exclusiveMaximum: 120}
        quality:
          - {metric: nullValues, mustBeLessThan: 5, unit: percent, severity: warning}
          - type: custom
            engine: greatExpectations
            name: mean age
            implementation: {type: expect_column_mean_to_be_between, kwargs: {min_value: 1}}
      - {name: id, primaryKey: true}
      - name: mail
        unique: true
        logicalTypeOptions: {pattern: "^.+@", maxLength: 30, format: email}
        customProperties:
          - {property: assay.role, value: [text, quasi_identifier]}
          - {property: assay.pii, value: redact}
          - {property: assay.missing, value: ["NA"]}
      - name: y
        required: true
        quality:
          - {metric: invalidValues, arguments: {validValues: ["yes", "no"]}, mustBe: 0}
        customProperties:
          - {property: assay.role, value: label}
    quality:
      - {metric: rowCount, mustBeGreaterThan: 5}
      - {type: sql, name: young, query: "SELECT avg(age) FROM ${table}", mustBeLessThan: 90}
customProperties:
  - {property: assay.policy, value: {alpha: 0.2, fail_on: warning}}
  - {property: assay.checks, value: {pii: off}}
  - {property: assay.limits, value: {max_columns: 10, check_seconds: 1.5}}
"""


def test_a_whole_contract(contract):
    found = contract(WHOLE)
    ids = {(rule.id, rule.column): rule for rule in found.rules}
    assert set(ids) == {
        ("ASSAY-V009", "id"),
        ("ASSAY-V010", "age"),
        ("ASSAY-V010", "id"),
        ("ASSAY-V009", "mail"),
        ("ASSAY-V013", "y"),
        ("age.minimum", "age"),
        ("age.maximum", "age"),
        ("age.nullValues", "age"),
        ("mean age", "age"),
        ("mail.pattern", "mail"),
        ("mail.maxLength", "mail"),
        ("mail.format", "mail"),
        ("rowCount", None),
        ("young", None),
    }
    assert ids["age.nullValues", "age"].severity == "warning"
    assert ids["age.minimum", "age"].where == "contract.yaml:11"
    assert ids["ASSAY-V013", "y"].params == {"values": ["yes", "no"]}
    assert ids["young", None].params["query"] == 'SELECT avg(age) FROM "people"'
    assert found.label == "y"
    assert found.column("y").valid_values == ("yes", "no")
    assert found.column("id").key
    assert found.column("mail").spec.missing == ("NA",)
    assert found.column("mail").roles == {"text", "quasi_identifier"}
    assert (found.column("mail").pii, found.column("age").pii) == ("redact", "quarantine")
    assert (found.policy.alpha, found.policy.fail_on) == (0.2, "warning")
    assert found.is_off("pii")
    assert found.limits == {"max_columns": 10, "check_seconds": 1.5}
    assert found.warnings == ()


def test_the_example_of_the_documentation_is_a_contract(contract):
    page = (Path(__file__).parents[2] / "docs" / "contract.md").read_text()
    (example,) = [part.partition("```")[0] for part in page.split("```yaml\n")[1:]]
    found = contract(example)
    assert found.warnings == ()
    assert found.label == "repaid"
    assert found.column("applied").spec.format == "dd.MM.yyyy"
    assert len(found.rules) == 13


def test_keys_of_the_standard_are_ignored_with_one_warning_each(contract):
    found = contract(
        HEAD
        + "        classification: secret\n        physicalName: AGE\n"
        + "        customProperties: [{property: sodaThing, value: 1}]\n"
        + "      - {name: b, classification: open, description: harmless, tags: [x]}\n"
        + "team: {name: us}\nid: 1\nstatus: active\n"
    )
    said = [notice.message.split("'")[1] for notice in found.warnings]
    assert sorted(said) == ["classification", "physicalName", "sodaThing", "team"]


DEEP = "a: " + "[" * 40 + "]" * 40
REFUSED = [
    # YAML itself
    ("C005", "", "1:1"),
    ("C005", "# nothing\n", "1:1"),
    ("C001", "a: &x 1\nb: *x\n", "1:4"),
    ("C001", DEEP, ":1:"),
    ("C001", b"# " + b"x" * (1 << 20), ""),
    ("C002", "a: !!python/object/apply:os.system ['true']\n", "1:4"),
    ("C002", "a: !x 1\n", "1:4"),
    ("C002", b"a: \xe9\n", "1:4"),
    ("C002", "a: [1\n", ""),
    ("C002", "a: \x01\n", ""),
    ("C003", "name: a\nname: b\n", "2:1"),
    ("C003", "name: a\n---\nname: b\n", "2:1"),
    ("C005", "[1]: 2\n", "1:1"),
    ("C005", "just text\n", "1:1"),
    # keys and values
    ("C004", HEAD.replace("schema:", "shcema:"), "5:1"),
    ("C004", with_property("requierd: true\n"), "10:9"),
    ("C004", with_property("logicalTypeOptions: {minLength: 3}\n"), "10:"),
    ("C004", with_setting("assay.refrence", "x"), "11:"),
    ("C004", with_setting("assay.checks", "{drfit: off}"), "12:"),
    ("C004", with_setting("assay.limits", "{max_colums: 3}"), "12:"),
    ("C004", with_setting("assay.policy", "{alhpa: 0.1}"), "12:"),
    ("C004", with_setting("assay.role", "label"), "11:"),
    ("C005", HEAD.replace("DataContract", "DataContrakt"), "2:7"),
    ("C005", HEAD.replace("v3.1.0", "v9"), "1:13"),
    ("C005", HEAD.replace("name: age", "name: yes"), "8:15"),
    ("C005", HEAD.replace("integer", "integr"), "9:22"),
    ("C005", HEAD.replace("integer", "array"), "8:9"),
    ("C005", with_property("required: 'true'\n"), "10:19"),
    ("C005", with_property("logicalTypeOptions: {minimum: .nan}\n"), "10:39"),
    ("C005", with_property("logicalTypeOptions: {maximum: 1e999}\n"), "10:39"),
    ("C005", with_property("logicalTypeOptions: {minimum: '0'}\n"), "10:39"),
    ("C005", "schema: []\n", "1:9"),
    ("C005", "name: x\n", "1:1"),
    ("C005", "schema: [{name: a, properties: []}]\n", "1:"),
    ("C005", "schema: [{name: a, properties: [{logicalType: date}]}]\n", "1:"),
    ("C005", quality("{metric: nullValues}"), "11:"),
    ("C005", quality("{metric: nullValues, mustBe: 0, mustBeLessThan: 3}"), "11:"),
    ("C005", quality("{metric: nulValues, mustBe: 0}"), "11:"),
    ("C005", quality("{metric: rowCount, mustBe: 3}"), "11:"),
    ("C005", quality("{metric: nullValues, mustBe: 0, severity: fatal}"), "11:"),
    ("C005", quality("{metric: nullValues, mustBe: 0, name: ASSAY-V001}"), "11:"),
    ("C005", quality("{metric: invalidValues, arguments: {validValues: ['1']}, mustBe: 0}"), "11:"),
    ("C005", quality("{metric: invalidValues, arguments: {validValues: []}, mustBe: 0}"), "11:"),
    ("C005", quality("{metric: invalidValues, mustBe: 0}"), "11:"),
    ("C005", with_setting("assay.policy", "{alpha: 1.5}"), "12:"),
    ("C005", with_setting("assay.limits", "{max_columns: 0}"), "12:"),
    ("C005", with_setting("assay.checks", "{drift: maybe}"), "12:"),
    *(
        ("C005", with_setting("assay.checks", f"{{{stage}: {value}}}"), f"12:{15 + len(stage)}")
        for stage in ("ingest", "contract", "rescan")
        for value in ("off", "false", "'off'", "{seconds: 3}", "{}", "maybe")
    ),
    # patterns
    ("C006", HEAD + "      - {name: s, logicalTypeOptions: {pattern: '(?=x)'}}\n", "10:"),
    ("C006", HEAD + "      - {name: s, logicalTypeOptions: {pattern: 'x{1000}{1000}'}}\n", "10:"),
    ("C006", HEAD + f"      - {{name: s, logicalTypeOptions: {{pattern: '{'x' * 1001}'}}}}\n", ""),
    # columns and contradictions
    (
        "C007",
        quality("{metric: duplicateValues, arguments: {properties: [aeg]}, mustBe: 0}"),
        "11:",
    ),
    ("C008", with_property("logicalTypeOptions: {minimum: 3, maximum: 2}\n"), "10:"),
    ("C008", with_property("logicalTypeOptions: {minimum: 3, exclusiveMaximum: 3}\n"), "10:"),
    ("C008", with_property("logicalTypeOptions: {minimum: 3, exclusiveMinimum: 3}\n"), "10:"),
    ("C008", HEAD + "      - {name: s, logicalTypeOptions: {minLength: 3, maxLength: 2}}\n", "10:"),
    ("C008", HEAD + "      - {name: age}\n", "10:16"),
    ("C008", quality("{metric: nullValues, mustBeBetween: [3, 1]}"), "11:"),
    *(
        ("C008", HEAD + f"      - {{name: {name}}}\n", "10:16")
        for name in ("_row", "_reasons", "__assay_row", "__assay_digest")
    ),
]


@pytest.mark.parametrize(("code", "text", "place"), REFUSED)
def test_refusals_name_code_and_place(contract, code, text, place):
    with pytest.raises(AssayError) as caught:
        contract(text)
    assert caught.value.code == f"ASSAY-{code}", str(caught.value)
    assert caught.value.exit_code == 2
    assert "contract.yaml" in caught.value.where
    assert place in caught.value.where


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        (with_property("requierd: true\n"), "'required'"),
        (quality("{metric: nulValues, mustBe: 0}"), "'nullValues'"),
        (quality("{metric: duplicateValues, arguments: {properties: [aeg]}, mustBe: 0}"), "'age'"),
        (with_setting("assay.checks", "{drfit: off}"), "'drift'"),
        (HEAD.replace("integer", "Integer"), "'integer'"),
        (HEAD.replace("name: age", "name: yes"), '"yes"'),
    ],
)
def test_the_fix_gives_the_nearest_name(contract, text, advice):
    with pytest.raises(AssayError) as caught:
        contract(text)
    assert advice in caught.value.fix


@pytest.mark.parametrize("action", ["redact", "pseudonymise", "allow", "quarantine"])
@pytest.mark.parametrize("kind", VALUES)
def test_only_texts_can_be_redacted(contract, kind, action):
    own = f"customProperties: [{{property: assay.pii, value: {action}}}]"
    text = HEAD.replace("integer", kind) + f"        {own}\n"
    if kind == "string" or action in ("allow", "quarantine"):
        assert contract(text).column("age").pii == action
        return
    with pytest.raises(AssayError, match="only string columns can be redacted") as caught:
        contract(text)
    assert caught.value.code == "ASSAY-C008"
    assert caught.value.where.endswith(f"contract.yaml:10:{9 + own.index(action)}")
    assert "quarantine" in caught.value.fix


@pytest.mark.parametrize("stage", ["ingest", "contract", "rescan"])
def test_stages_cannot_be_switched_off_and_may_be_named_as_on(contract, stage):
    with pytest.raises(AssayError, match=f"the stage {stage} cannot be switched off"):
        contract(with_setting("assay.checks", f"{{{stage}: off}}"))
    with pytest.raises(AssayError, match=f"the stage {stage} takes no options"):
        contract(with_setting("assay.checks", f"{{{stage}: {{score: 1}}}}"))
    assert contract(with_setting("assay.checks", f"{{{stage}: on, pii: off}}")).is_off("pii")


def test_two_labels_and_two_columns_name_both_lines(contract):
    role = "customProperties: [{property: assay.role, value: label}]"
    two = HEAD + f"      - {{name: b, {role}}}\n      - {{name: c, {role}}}\n"
    with pytest.raises(AssayError, match="lines 10 and 11"):
        contract(two)
    with pytest.raises(AssayError, match="lines 8 and 10"):
        contract(HEAD + "      - {name: age}\n")


def expectation(kind, kwargs="{}"):
    return quality(
        "{type: custom, engine: greatExpectations, "
        f"implementation: {{type: {kind}, kwargs: {kwargs}}}}}"
    )


@pytest.mark.parametrize(
    ("code", "kind", "kwargs"),
    [
        ("C005", "expect_column_values_to_be_beetween", "{}"),
        ("C005", "expect_column_values_to_match_strftime_format", "{strftime_format: '%Q'}"),
        ("C005", "expect_column_values_to_be_between", "{row_condition: 'x'}"),
        ("C005", "expect_column_values_to_be_between", "{min_value: .nan}"),
        ("C008", "expect_column_values_to_match_regex", "{regex: 'x'}"),  # of a whole number
        ("C007", "expect_column_pair_values_to_be_equal", "{column_A: age, column_B: aeg}"),
        ("C009", "unexpected_rows_expectation", "{}"),
    ],
)
def test_expectations_are_looked_up_without_the_library(contract, code, kind, kwargs):
    with pytest.raises(AssayError) as caught:
        contract(expectation(kind, kwargs))
    assert caught.value.code == f"ASSAY-{code}"


SQL = [
    ("SELECT 1; SELECT 2", "C009"),
    ("DROP TABLE people", "C009"),
    ("COPY people TO 'x.csv'", "C009"),
    ("SELECT count(*) FROM read_csv('/etc/passwd')", "C009"),
    ("SELECT count(*) FROM '/etc/passwd'", "C009"),
    ("SELECT count(*) FROM read_text('/etc/passwd')", "C009"),
    ("SELECT (SELECT count(*) FROM glob('*')) FROM people", "C009"),
    ("SELECT count(*) FROM query('SELECT 1')", "C009"),
    ("SELECT length(getenv('HOME'))", "C009"),
    ("SELECT count(*) FROM information_schema.tables", "C009"),
    ("SELECT count(*) FROM other", "C009"),
    ("ATTACH 'x.db'", "C009"),
    ("SET threads = 1", "C009"),
    ("INSTALL httpfs", "C009"),
    ("SELECT * FROM (DESCRIBE people)", "C009"),
    ("SELECT age, age FROM people", "C009"),
    ("SELECT FROM WHERE", "C009"),
    ("SELECT avg(aeg) FROM people", "C007"),
    ("SELECT random() FROM people", "C009"),
    ("SELECT avg(age) FROM people", None),
    ("SELECT avg(${column}) FROM ${table}", None),
    ("WITH old AS (SELECT * FROM people WHERE age > 9) SELECT count(*) FROM old", None),
    ("SELECT count(*) FROM people JOIN range(3) r(i) ON age = i", None),
]


@pytest.mark.parametrize(("query", "code"), SQL)
def test_sql_rules_only_read_the_dataset(contract, query, code):
    text = quality(f'{{type: sql, query: "{query}", mustBe: 0}}')
    if code is None:
        assert contract(text).rules[0].kind == "sql"
        return
    with pytest.raises(AssayError) as caught:
        contract(text)
    assert caught.value.code == f"ASSAY-{code}", str(caught.value)


PATHS = [
    ("data.csv", None),
    ("./deep/data-*.parquet", None),
    ("../outside.csv", "C010"),
    ("deep/../../outside.csv", "C010"),
    ("deep/*/../../../x", "C010"),
    ("/etc/passwd", "C010"),
    ("https://example.org/x.csv", "C010"),
    ("s3://bucket/x", "C010"),
    ("~/x.csv", "C010"),
    ("$HOME/x.csv", "C010"),
    ("${HOME}/x.csv", "C010"),
]


@pytest.mark.parametrize(("path", "code"), PATHS)
def test_paths_stay_below_the_root(contract, tmp_path, path, code):
    texts = [
        with_setting("assay.reference", f'"{path}"'),
        HEAD + f'servers: [{{server: x, type: local, format: csv, path: "{path}"}}]\n',
    ]
    for text in texts:
        if code is None:
            found = contract(text)
            assert (found.reference or found.source).startswith(str(tmp_path))
        else:
            with pytest.raises(AssayError) as caught:
                contract(text)
            assert caught.value.code == "ASSAY-C010"


def test_a_symbolic_link_out_of_the_root_is_refused(contract, tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret.csv").write_text("x")
    (inside / "link.csv").symlink_to(tmp_path / "secret.csv")
    text = with_setting("assay.reference", "link.csv")
    with pytest.raises(AssayError, match="leaves the root"):
        contract(text, name="inside/contract.yaml")
    assert contract(text, name="inside/contract.yaml", root=tmp_path).reference


def test_missing_and_irregular_files_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    for name in ("none.yaml", "pipe.yaml", "."):
        with pytest.raises(AssayError) as caught:
            load(tmp_path / name)
        assert caught.value.code == "ASSAY-C011"


def test_names_of_rules_are_unique(contract):
    twice = quality(
        "{metric: nullValues, mustBe: 0, name: a}\n  - {metric: nullValues, mustBe: 1, name: a}"
    )
    with pytest.raises(AssayError, match="first in line 11"):
        contract(twice)
    found = contract(
        quality("{metric: nullValues, mustBe: 0}\n  - {metric: nullValues, mustBeLessThan: 9}")
    )
    assert [rule.id for rule in found.rules] == ["age.nullValues", "age.nullValues.2"]


def test_other_spellings_are_read_where_the_first_is_missing(contract):
    found = contract(
        quality(
            "{rule: nullValues, mustBe: 0, id: a}\n"
            "  - {metric: nullValues, mustBe: 0, name: b, id: 1}"
        ).replace("name: people\nversion", "dataProduct: staff\nid: 1\nversion")
    )
    assert ([rule.id for rule in found.rules], found.name) == (["a", "b"], "staff")


def test_the_description_has_every_type_policy_and_limit():
    assert {*OPTIONS} == {*VALUES, *NESTED} == {*get_args(Logical)}
    assert set(POLICY.kinds) == {field.name for field in dataclasses.fields(Policy)}
    assert set(LIMITS.kinds) >= {field.name for field in dataclasses.fields(Limits)}


def test_composite_keys_follow_their_positions(contract):
    text = HEAD + (
        "      - {name: a, primaryKey: true, primaryKeyPosition: 2}\n"
        "      - {name: b, primaryKey: true, primaryKeyPosition: 1}\n"
    )
    (rule,) = [rule for rule in contract(text).rules if rule.id == "ASSAY-V009"]
    assert rule.params == {"columns": ["b", "a"]}


def test_moments_are_compared_as_moments(contract):
    text = HEAD + (
        "      - {name: d, logicalType: timestamp, "
        "logicalTypeOptions: {minimum: '2020-01-01T02:00:00+02:00'}}\n"
    )
    assert contract(text).rules[0].params["value"] == "2020-01-01T00:00:00"
    with pytest.raises(AssayError, match="ISO date"):
        contract(
            HEAD + "      - {name: d, logicalType: date, logicalTypeOptions: {minimum: 1.2.2020}}\n"
        )
