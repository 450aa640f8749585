"""An edit of a contract changes the lines it must and no other, however the contract is written."""

import dataclasses
from types import SimpleNamespace

import pytest

from checks.contract.loader import load
from pipelines.commands.init_from_run import _headed
from pipelines.proposal import revise
from pipelines.proposal.history import Reviewed
from pipelines.proposal.yaml_edit import Draft

BLOCK = """\
# yaml-language-server: $schema=schema.json
apiVersion: v3.1.0   # the standard
kind: DataContract
id: people
name:    people
version: "1.0.0"
status: 'active'
description:
  purpose: >-
    folded text that goes on
    for two lines

  usage: a plain text that is long and longer and longer and longer and longer and longer and longer and longer
customProperties:
  - {property: assay.checks,
     value: {labels: off,   outliers: off}}


schema:
  - name: people
    properties:
      - name: age   # years
        logicalType: integer
        logicalTypeOptions: { minimum: 18,  maximum: 70 }  # adults
      - name: 'cité'
        logicalType: string
        quality:
          # ours
          - metric: invalidValues
            arguments:
              validValues: [Oslo, "it's",
                            'Rome']   # so far
            mustBe: 0
          # unsure: few rows
          - {metric: nullValues, mustBe: 0, severity: warning}
      - name: "ki\\u202end"
        logicalType: string
        quality:
        - metric: invalidValues
          validValues:
              - a
              - b   # last
          mustBe: 0
        - metric: nullValues
          mustBe: 0
      - {name: day, logicalType: date, required: True}
"""  # noqa: E501
# what stands there afterwards, with the comments that say why
REPLACED = {
    "        logicalTypeOptions: { minimum: 18,  maximum: 70 }": """\
        # run 7: 1 violating row released, none rejected; widened
        logicalTypeOptions: { minimum: 18,  maximum: 91 }""",
    "          - metric: invalidValues\n            arg": """\
          # run 7: 1 violating row released, none rejected; widened
          - metric: invalidValues\n            arg""",
    "'Rome']": "'Rome', Bergen]",
    "# unsure: few rows": (
        "# run 7: 1 violating row rejected, none released; severity raised to error"
    ),
    "mustBe: 0, severity: warning": "mustBe: 0, severity: error",
    "        - metric: invalidValues\n          val": """\
        # run 7: 1 violating row released, none rejected; widened
        - metric: invalidValues\n          val""",
    "- b   # last": "- b   # last\n              - c",
    "        - metric: nullValues\n": """\
        # run 7: 1 violating row released, none rejected; severity lowered to warning
        - severity: warning\n          metric: nullValues\n""",
    "      - {name: day, logicalType: date, required: True}": """\
      # run 7: 1 violating row released, none rejected; rule switched off
      - {name: day, logicalType: date, required: false}""",
}
STYLES = {
    "plain": lambda text: text,
    "windows": lambda text: text.replace("\n", "\r\n"),
    "a byte order mark": lambda text: f"\ufeff{text}",
    "a mark and windows": lambda text: f"\ufeff{text}".replace("\n", "\r\n"),
    "no last line end": lambda text: text.rstrip("\n"),
    "spaces at the end of a line": lambda text: text.replace("integer\n", "integer   \n"),
    "a document's start and end": lambda text: f"---\n{text}...\n",
    "no line for editors": lambda text: text.partition("\n")[2],
}
CELLS = {"age": 91, "cité": "Bergen", "ki\u202end": "c"}


class Run(Reviewed):
    """A run without files: each column has one released value."""

    def values(self, column, rows):
        return dict.fromkeys(rows, CELLS[column])


def run_of(folder, text):
    path = folder / "x.yaml"
    path.write_bytes(text.encode())
    contract = load(path, root=folder)
    names = {(rule.column, rule.kind): rule.id for rule in contract.rules}
    odd = "ki\u202end"
    broken = {
        (names["age", "maximum"], "age"): {1}, (names["cité", "validValues"], "cité"): {2},
        (names["cité", "nullValues"], "cité"): {3}, (names[odd, "validValues"], odd): {4},
        (names[odd, "nullValues"], odd): {5}, (names["day", "required"], "day"): {6},
    }  # fmt: skip
    entry = SimpleNamespace(seq=7, facts={})
    released, rejected = frozenset({1, 2, 4, 5, 6}), frozenset({3})
    return Run(entry, None, contract, text, broken, released, rejected)


@pytest.mark.parametrize("style", STYLES)
def test_without_edits_every_byte_stays(tmp_path, style):
    text = STYLES[style](BLOCK)
    assert Draft(text).done() == text
    run = dataclasses.replace(run_of(tmp_path, text), broken={})
    assert revise.revise(run, []) == revise.Revision(text, (), ())


@pytest.mark.parametrize("style", STYLES)
def test_an_edit_changes_its_own_lines_only(tmp_path, style):
    edited = BLOCK
    for old, new in REPLACED.items():
        assert edited.count(old) == 1
        edited = edited.replace(old, new)
    run = run_of(tmp_path, STYLES[style](BLOCK))
    made = revise.revise(run, [run])
    assert made.text == STYLES[style](edited)
    assert (len(made.changes), made.notes) == (6, ())
    (tmp_path / "made.yaml").write_bytes(made.text.encode())
    written = load(tmp_path / "made.yaml", root=tmp_path)
    revise.require(written.rules, run.contract.rules, made.changes)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("- a\n              - b   # last", "- a\n              - |-\n                b"),
        ("maximum: 70 }", "exclusiveMaximum: 71 }"),
        ("        - metric: nullValues\n", "        - metric: nullValues   # ours\n"),
    ],
)  # fmt: skip
def test_other_layouts_are_edited_or_left_to_a_person(tmp_path, old, new):
    run = run_of(tmp_path, BLOCK.replace(old, new))
    made = revise.revise(run, [run])
    (tmp_path / "made.yaml").write_text(made.text)
    written = load(tmp_path / "made.yaml", root=tmp_path)
    revise.require(written.rules, run.contract.rules, made.changes)
    assert len(made.changes) + len(made.notes) == 6


@pytest.mark.parametrize("style", STYLES)
def test_the_line_about_the_run_goes_below_the_editors_line(tmp_path, style):
    text = STYLES[style](BLOCK)
    run = run_of(tmp_path, text)
    headed = _headed(revise.revise(run, [run]), 7)
    lines = headed.splitlines()
    place = 1 if text.removeprefix("\ufeff").startswith("# yaml") else 0
    assert lines[place].startswith("# Revised by `assay init --from 7`: 6 rules")
    assert headed.startswith("\ufeff") is text.startswith("\ufeff")
    assert ("\n" in headed.replace("\r\n", "")) is ("windows" not in style)
    (tmp_path / "made.yaml").write_bytes(headed.encode())
    assert load(tmp_path / "made.yaml", root=tmp_path).rules
