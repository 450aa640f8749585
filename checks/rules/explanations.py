"""What `assay explain` says about the rules of a contract, by kind: `age.minimum` is a `minimum`.

Blind to: missing cells, which break no rule except those against missing cells; columns without a
rule; values that keep every rule and are wrong all the same.
"""

from checks.kit.protocol import Explanation

_FIX = "Repair the cell at its source, correct the rule, or release the row (`assay review`)."
_COUNTED = "With `mustBe: 0` each such row is a finding; with any other bound the dataset is one."
# kinds whose findings carry a code
CODED = {"unique": "V009", "primaryKey": "V009", "required": "V010", "label": "V013"}


def _rule(means: str, fires: str, fix: str = _FIX) -> Explanation:
    # the contract sets the severity of each of its rules
    return Explanation(("error", "warning", "info"), means, fires, fix)


KINDS = {
    "minimum": _rule(
        "The value is below the column's minimum.",
        "Value < minimum, or <= exclusiveMinimum. NaN breaks every minimum.",
    ),
    "maximum": _rule(
        "The value is above the column's maximum.",
        "Value > maximum, or >= exclusiveMaximum. NaN breaks every maximum.",
    ),
    "minLength": _rule(
        "The text is shorter than the column allows.", "Fewer code points than minLength."
    ),
    "maxLength": _rule(
        "The text is longer than the column allows.", "More code points than maxLength."
    ),
    "pattern": _rule(
        "The text does not match the column's pattern.",
        "The RE2 pattern matches nowhere in the text; anchor it with ^ and $ to match all of it.",
    ),
    "format": _rule(
        "The text does not have the column's format.",
        "The text does not match the format, such as email, uuid, uri, hostname, ipv4 or ipv6.",
    ),
    "nullValues": _rule("The cell is missing.", f"The cell is null. {_COUNTED}"),
    "missingValues": _rule(
        "The cell is missing, or holds a word that stands for a missing value.",
        f"The cell is null or one of arguments.missingValues. {_COUNTED}",
    ),
    "validValues": _rule(
        "The value is not one of the valid ones.",
        f"The value is not in arguments.validValues. {_COUNTED}",
    ),
    "duplicateValues": _rule(
        "The value, or the combination of values, occurs more than once.",
        f"Two rows agree in the column or in all of arguments.properties. {_COUNTED}",
    ),
    "rowCount": _rule(
        "The dataset has too many or too few rows.",
        "The number of rows does not satisfy the rule's `mustBe...` bound.",
        "Check that the export is complete, or correct the bound.",
    ),
    "sql": _rule(
        "The result of an SQL rule is out of bounds.",
        "The one number that the query returns does not satisfy the rule's `mustBe...` bound.",
        "Run the query on the source to find the rows, then repair them or correct the rule.",
    ),
}
EXPECTATION = _rule(
    "The data do not meet an expectation of Great Expectations that the contract names.",
    "Great Expectations' own condition fails, for each row or for the dataset; `mostly` below 1 "
    "makes a rule about rows one about the dataset.",
)


def of_kind(kind: str) -> Explanation | None:
    """Return the explanation of a kind of rule, None if there is no such kind."""
    return EXPECTATION if kind.startswith("expect_") else KINDS.get(kind)
