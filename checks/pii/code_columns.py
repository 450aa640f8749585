"""Columns of codes that look like personal data: versions, article, order and tracking numbers.

A cell alone cannot tell them apart: one number in ten passes a card's checksum, and every short
version is an IP address. The column can. Among its cells of one shape, nearly all real cards,
accounts or addresses are valid, while of random codes only a known share is; and versions have
small parts throughout. Such a column is told once, and its codes hold no row. A column whose name
announces the data, or for which the contract sets assay.pii, is not judged.
State: up to 500 distinct codes a column, those of the smallest hashes. Cost: one RE2 pass.
"""

import dataclasses
import re
from typing import NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import findings, hashing
from checks.kit.column_words import word_set, words_of
from checks.pii.judge import is_issued
from checks.pii.scan import Found, scan
from checks.pii.settings import Settings

KEPT = 500  # distinct codes of a column
LEAST = 20  # of one shape; fewer are no evidence
REAL = 0.99  # share of valid values in a column of real data
UNUSUAL = 1e-3  # chance of so many valid codes, below which real data are among them
LONGEST_CARD = 19
SMALL = (31, 99, 99)  # largest parts of a usual version, from the left
NARROW = (0.14, 0.39, 0.39)  # share of addresses whose part is as small
FEWEST = 1e-4  # chance that addresses all have such small parts, below which they are versions


class Shape(NamedTuple):
    """Cells that may be an entity; the share of random codes that are; words that announce it."""

    entity: str
    pattern: str
    chance: float
    announced: frozenset[str]
    kind: str


SHAPES = (
    Shape("CREDIT_CARD", r"^[0-9](?:[ -]?[0-9]){11,33}$", 0.1,
          word_set("card cards credit debit visa mastercard amex pan creditcard cardnumber"),
          "numbers whose checksum is right only by chance"),
    Shape("IBAN_CODE", r"^[A-Z]{2}[0-9]{2} ?(?:[A-Z0-9]{4} ?){2,7}[A-Z0-9]{0,4}$", 0.02,
          word_set("iban account accounts acct bank konto kontonummer payee payer"),
          "codes whose checksum is right only by chance"),
    Shape("IP_ADDRESS", r"^[0-9]{1,6}(?:\.[0-9]{1,6}){3}$", 0.9,
          word_set("ip ips ipv addr address addresses host hosts hostname server client remote "
                   "gateway subnet dns peer login src dst"),
          "version numbers"),
)  # fmt: skip
_EVERY = "|".join(f"(?:{shape.pattern})" for shape in SHAPES)
Coded: TypeAlias = frozenset[tuple[str, str]]  # (column, entity)
Codes: TypeAlias = tuple[tuple[int, str], ...]  # (hash, text), ascending


def gather(texts: pa.Array) -> Codes:
    """Return the codes among a column's unique texts, those of the smallest hashes."""
    found = texts.filter(pc.match_substring_regex(texts, _EVERY))
    hashes = hashing.value_hashes(found) if len(found) else np.zeros(0, np.uint64)
    order = np.argsort(hashes, kind="stable")[:KEPT]
    return tuple((int(hashes[at]), found[int(at)].as_py()) for at in order)


def merge(left: Codes, right: Codes) -> Codes:
    """Return the codes of both, those of the smallest hashes."""
    return tuple(sorted({*left, *right})[:KEPT])


def looks_coded(codes: Codes, column: str, settings: Settings) -> dict[str, str]:
    """Return the entities that the codes of a column only look like, and what they look like.

    Args:
        codes: of the column.
        column: its name.
        settings: of the scan.
    """
    texts = [text for _, text in codes]
    made: dict[str, str] = {}
    for shape in SHAPES:
        if words_of(column) & shape.announced or shape.entity not in settings.entities:
            continue
        mine = [text for text in texts if re.match(shape.pattern, text) and _may_be(text, shape)]
        if len(mine) < LEAST:
            continue
        found = scan(pa.array(mine, pa.string()), column, settings)
        hits = [
            mine[at]
            for at, one in found.items()
            if any(hit.entity == shape.entity for hit, _ in one.hits)
        ]
        if hits and (_is_chance(len(hits), len(mine), shape.chance) or _are_versions(hits, shape)):
            made[shape.entity] = shape.kind
    return made


def finding(check: str, column: str, entity: str, kind: str) -> findings.Findings:
    """Return the one warning about a column whose codes only look like an entity."""
    return findings.make(
        None,
        check=check,
        rule=f"{check}.{entity}",
        column=column,
        severity="warning",
        evidence=f"values look like {entity}, but the column looks like {kind}; no row is held",
        suggestion=f"if they are {entity}, set assay.pii to quarantine, redact or pseudonymise for "
        "the column; if not, set assay.pii: allow",
    )


def told(check: str, found: findings.Findings) -> Coded:
    """Return what `finding` has reported, from the findings of a run."""
    is_told = pc.and_(pc.is_null(found["row"]), pc.equal(found["severity"], "warning"))
    mine = found.filter(pc.and_(is_told, pc.equal(found["check"], check)))
    pairs = zip(mine["column"].to_pylist(), mine["rule"].to_pylist(), strict=True)
    return frozenset((column, rule.removeprefix(f"{check}.")) for column, rule in pairs)


def without_codes(
    found: dict[int, Found], texts: pa.Array, column: str, coded: Coded
) -> dict[int, Found]:
    """Drop the hits in cells that are codes, of entities that the column only looks like.

    Args:
        found: by position in `texts`.
        texts: unique texts of the column.
        column: its name.
        coded: of all columns.
    """
    entities = {entity for name, entity in coded if name == column}
    if not entities:
        return found
    kept = {}
    for at, what in found.items():
        codes = {entity for entity in entities if _is_code(texts[at].as_py(), entity)}
        hits = tuple(pair for pair in what.hits if pair[0].entity not in codes)
        if hits or what.unscanned:
            kept[at] = dataclasses.replace(what, hits=hits)
    return kept


def _is_code(text: str, entity: str) -> bool:
    return any(shape.entity == entity and re.match(shape.pattern, text) for shape in SHAPES)


def _may_be(text: str, shape: Shape) -> bool:
    """Return whether a code could be valid at all: a card needs the prefix of an issuer."""
    digits = re.sub(r"[ -]", "", text)
    return shape.entity != "CREDIT_CARD" or len(digits) > LONGEST_CARD or is_issued(digits)


def _is_chance(hits: int, of: int, chance: float) -> bool:
    from scipy.special import betainc

    if not hits:
        return True
    real = hits * np.log(REAL / chance) + (of - hits) * np.log((1 - REAL) / (1 - chance))
    return bool(real < 0 and betainc(hits, of - hits + 1, chance) >= UNUSUAL)


def _are_versions(hits: list[str], shape: Shape) -> bool:
    """Return whether the parts are smaller than those of as many networks would ever be."""
    if shape.entity != "IP_ADDRESS":
        return False
    parts = np.array([[int(part) for part in text.split(".")[:3]] for text in hits])
    if (parts > SMALL).any():
        return False
    networks = [len(np.unique(parts[:, : width + 1], axis=0)) for width in range(3)]
    return float(np.prod(np.power(NARROW, networks))) < FEWEST
