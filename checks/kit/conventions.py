"""Faults that may be meant: what many rows do is how the dataset was made, and is told once."""

from checks.kit import findings
from checks.kit.wording import count, percent

SELDOM, CONVENTION = 0.01, 0.05  # of the rows: up to which a fault holds, and up to which it warns


def is_one(rows: int, of: int) -> bool:
    """Return whether so many rows with a fault make it a convention of the dataset."""
    return rows > max(CONVENTION * of, 1)


def severity(rows: int, of: int) -> findings.Severity:
    """Return how severe a fault is, of so many rows, that is no convention."""
    return "error" if rows <= max(SELDOM * of, 1) else "warning"


def told(rule: str, column: str, rows: int, of: int, says: str, advice: str) -> findings.Findings:
    """Return the one warning for a fault that is a convention; `says` is what each row does."""
    return findings.make(
        None,
        check=rule.partition(".")[0],
        rule=rule,
        column=column,
        severity="warning",
        evidence=f"in {count(rows, 'row')} ({percent(rows / of, 1)}), {says}",
        suggestion=advice,
    )
