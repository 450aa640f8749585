"""What `assay explain` says about the rules of a contract, by kind: `age.minimum` is a `minimum`.

Blind to: missing cells, which break only the rules against missing cells; columns without a rule;
values that satisfy every rule but are still wrong.
"""

from checks.kit.protocol import Explanation

_FIX = "Repair the cell at its source, correct the rule, or release the row (`assay review`)."
_COUNTED = (
    "With `mustBe: 0`, each such row has a finding; with any other bound, there is one finding for "
    "the whole dataset."
)
# kinds whose findings carry a code
CODED = {"unique": "V009", "primaryKey": "V009", "required": "V010", "label": "V013"}


def _rule(means: str, fires: str, fix: str = _FIX) -> Explanation:
    # the contract sets the severity of each of its rules
    return Explanation(("error", "warning", "info"), means, fires, fix)


KINDS = {
    "minimum": _rule(
        "The value is below the column's minimum.",
        "The value is < minimum, or <= exclusiveMinimum. NaN violates every minimum.",
    ),
    "maximum": _rule(
        "The value is above the column's maximum.",
        "The value is > maximum, or >= exclusiveMaximum. NaN violates every maximum.",
    ),
    "minLength": _rule(
        "The text is shorter than the column allows.",
        "The text has fewer code points than minLength.",
    ),
    "maxLength": _rule(
        "The text is longer than the column allows.",
        "The text has more code points than maxLength.",
    ),
    "pattern": _rule(
        "The text does not match the column's pattern.",
        "No part of the text matches the RE2 pattern. (A match anywhere is enough; to require that "
        "the whole text match, anchor the pattern with ^ and $.)",
    ),
    "format": _rule(
        "The text does not match the column's format.",
        "The text is not valid for the contract's format, such as email, uuid, uri or ipv4.",
    ),
    "minItems": _rule(
        "The list has fewer items than the contract allows.",
        "The list is not missing and has fewer than minItems items.",
    ),
    "maxItems": _rule(
        "The list has more items than the contract allows.",
        "The list has more than maxItems items.",
    ),
    "uniqueItems": _rule(
        "The list has an item twice.",
        "Two items of the list are equal, and the contract says uniqueItems.",
    ),
    "nullValues": _rule("The cell is missing.", f"The cell is null. {_COUNTED}"),
    "missingValues": _rule(
        "The cell is missing, or holds a word that stands for a missing value.",
        f"The cell is null or one of arguments.missingValues. {_COUNTED}",
    ),
    "validValues": _rule(
        "The value is not one of the valid values.",
        f"The value is not in arguments.validValues. {_COUNTED}",
    ),
    "duplicateValues": _rule(
        "The value, or the combination of values, occurs more than once.",
        "Two rows have equal values in the column, or in all columns of arguments.properties. "
        f"{_COUNTED}",
    ),
    "rowCount": _rule(
        "The dataset has too many or too few rows.",
        "The number of rows does not satisfy the rule's `mustBe...` bound.",
        "Check that the export is complete, or correct the bound.",
    ),
    "sql": _rule(
        "The result of an SQL rule is out of bounds.",
        "The number that the query returns does not satisfy the rule's `mustBe...` bound.",
        "Run the query on the source to find the rows, then repair them or correct the rule.",
    ),
}
EXPECTATION = _rule(
    "The data does not meet a Great Expectations expectation that the contract names.",
    "The expectation's own condition fails for a row or for the dataset; with `mostly` below 1, a "
    "rule about rows becomes one about the dataset.",
)


def of_kind(kind: str) -> Explanation | None:
    """Return the explanation of a kind of rule, None if there is no such kind."""
    return EXPECTATION if kind.startswith("expect_") else KINDS.get(kind)
