"""A JSON Schema of contracts, so that an editor completes keys and marks what is wrong.

It comes from the kinds by which the loader reads, and refuses nothing that the loader takes. The
loader also knows what a schema cannot say: columns that exist, bounds that contradict each other,
types of values against types of columns, patterns, paths, SQL. Editors read YAML 1.2, where a bare
`off` is a text, so both readings of it are named.
"""

from typing import Any

from checks.contract.assay_settings import accusers, checks
from checks.contract.columns import ITEMS, PART
from checks.contract.loader import CONTRACT
from checks.contract.quality_rules import item_schema


def json_schema() -> dict[str, Any]:
    """Return the schema of a contract; draft 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Open Data Contract Standard 3.1, as Assay reads it",
        **CONTRACT.kind().schema,
        "$defs": {
            "quality": item_schema(),
            "checks": checks().kind().schema,
            "accusers": accusers().schema,
            "part": PART.kind().schema,
            "items": ITEMS.kind().schema,
        },
    }
