"""The heading of a contract: what standard it keeps, what it is called, which version it is."""

import re

from checks.contract import odcs
from checks.contract.node import Node

LONGEST = 200  # characters of a dataset's name
_API = re.compile(odcs.API_VERSION)


def name(facts: dict[str, Node], table: str) -> str:
    """Return the dataset's name: the contract's, or what stands in for it; C005 if it is none."""
    for key in ("name", "dataProduct", "id"):
        if key in facts:
            return title(facts[key], key)
    return table


def title(node: Node, key: str) -> str:
    """Return a name, which is no longer than a line."""
    text = node.string(key)
    if len(text) > LONGEST:
        raise node.fail("C005", f"{key} is longer than {LONGEST} characters")
    return text


def version(facts: dict[str, Node]) -> str:
    """Return the contract's version as it is written: 1.0 is no number here."""
    node = facts.get("version")
    if node is None:
        return ""
    if isinstance(node.value, dict | list):
        raise node.fail("C005", "version must be a text")
    return node.text


def refuse_standard(facts: dict[str, Node]) -> None:
    """Refuse a contract of another kind or standard (ASSAY-C005)."""
    if "kind" in facts:
        facts["kind"].choice("kind", ("DataContract",))
    if "apiVersion" in facts:
        node = facts["apiVersion"]
        if not _API.fullmatch(node.text):
            what = f"apiVersion {node.text or 'of this kind'} is not known"
            raise node.fail("C005", what, fix="write `apiVersion: v3.1.0`")
