"""Personal data and secrets in text columns: found fast, reported masked, redacted on request.

Threat: data leakage. State: number of texts by column, and up to 500 of its codes. Cost: one RE2
pass over the unique texts, Presidio on the few candidates, O(n); the user's language model, if any,
on every unique text.
Nulls: ignored.
Blind to: names and places without a language model or a deny list (the report says so); numbers in
numeric columns whose names do not announce them; disguises that `text_folding` does not know;
images.
Source: Presidio (recognizers, context words), phonenumbers, our own decisions (checks.pii.judge).
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import findings, wording
from checks.kit.column_words import words_of
from checks.kit.contract_model import Column, Contract, PiiAction
from checks.kit.option_types import Takes
from checks.kit.protocol import Check, Context, Explains, Explanation, FileUse, Model
from checks.pii import code_columns, deny_list, headings, names, redaction, search
from checks.pii.evidence import Line, lines_of
from checks.pii.recognizers import CLASSES
from checks.pii.scan import Found, scan, texts_of
from checks.pii.settings import TAKES, Settings, settings_of
from provenance.rows import nested
from provenance.rows.shards import Shard

NAME = "pii"
_EXPLAINS: Explains = {
    **dict.fromkeys(
        [
            f"pii.{entity}"
            for entity in sorted({*CLASSES, "SECRET", deny_list.ENTITY, *names.LABELS.values()})
        ],
        Explanation(
            ("error", "warning", "info"),
            "The cell contains, or may contain, personal data or a secret of this type.",
            "A pattern, a checksum, the deny list or the language model matches. Error if the "
            "match is certain, warning if it is only likely; info if assay.pii already replaces "
            "the match in the clean dataset. A warning that names no row covers the whole column: "
            "its values merely resemble this type, as version numbers resemble IP addresses and "
            "long numbers resemble card numbers.",
            "Remove the data at the source, set assay.pii for the column, or release the row if "
            "the match is a false alarm.",
        ),
    ),
    "pii.column": Explanation(
        ("warning",),
        "Judging by its name, the column may contain people's names or places.",
        "The column is text but not a key, the contract gives it neither a list of valid values "
        "nor assay.pii, and its name suggests such content.",
        "Set assay.pii for the column and configure a model or a deny list (docs/privacy.md); or "
        "leave the column out; or, if its content may be used as it is, set `assay.pii: allow`.",
    ),
    "pii.unscanned": Explanation(
        ("error",),
        "The text could not be searched for personal data, so it may contain some.",
        "The text is longer than the option `max_chars` allows, a recognizer needs more steps than "
        "the option `steps` allows, or a recognizer, the language model or the deny list fails.",
        "Shorten the text, or raise `max_chars` or `steps`; if something failed, repair what the "
        "finding names.",
    ),
}


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """Number of texts by column, and its codes where the contract leaves the column to them."""

    texts: dict[str, int]
    codes: dict[str, code_columns.Codes]


@dataclasses.dataclass(frozen=True)
class Scanned(Model):
    """The model.

    Attributes:
        texts: number of texts by column.
        coded: (column, entity) of the columns whose codes only look like an entity.
    """

    texts: dict[str, int] = dataclasses.field(default_factory=dict)
    coded: code_columns.Coded = frozenset()


class Pii(Check[State, Scanned]):
    """Find personal data and secrets."""

    name: ClassVar[str] = NAME
    threats: ClassVar[tuple[str, ...]] = ("data leakage", "model inversion")
    takes: ClassVar[Takes] = TAKES
    explains: ClassVar[Explains] = _EXPLAINS
    named_files: ClassVar[Mapping[str, FileUse]] = {"deny_file": "private", "model": "model"}

    def __init__(self, context: Context) -> None:
        """Read the options."""
        super().__init__(context)
        self.settings = settings_of(context.contract)

    def fit(self, shard: Shard) -> State:
        """Count the texts of each column to scan, and keep some of its codes.

        Raises:
            AssayError: ASSAY-K003 if the model or the deny list cannot be used.
        """
        search.ready(self.settings)
        contract = self.context.contract
        decided = {column.name for column in contract.columns if column.is_personal}
        state = State({}, {})
        for table in (shard.table, shard.nested):
            for part in _parts(table, contract):
                state.texts[part.name] = len(part.values) - part.values.null_count
                if (
                    not part.is_nested
                    and part.name not in decided
                    and nested.is_text(part.values.type)
                ):
                    state.codes[part.name] = code_columns.gather(texts_of(part.values)[0])
        return state

    def merge(self, left: State, right: State) -> State:
        """Add the counts and join the codes."""
        texts = {
            n: left.texts.get(n, 0) + right.texts.get(n, 0)
            for n in left.texts.keys() | right.texts.keys()
        }
        codes = {
            n: code_columns.merge(left.codes.get(n, ()), right.codes.get(n, ()))
            for n in left.codes.keys() | right.codes.keys()
        }
        return State(texts, codes)

    def finish(self, state: State) -> Scanned:
        """Judge the columns of codes; say what was searched for and what was not."""
        secrets = ["SECRET"] if self.settings.secrets else []
        types = ", ".join([*self.settings.entities, *secrets])
        texts = wording.count(sum(state.texts.values()), "text")
        columns_ = wording.count(len(state.texts), "column")
        notes = [f"Searched {texts} in {columns_} for {types}."]
        notes += search.notes(self.settings)
        allowed = [c.name for c in self.context.contract.columns if c.pii == "allow"]
        if allowed:
            notes.append(f"Not searched, because the contract allows it: {', '.join(allowed)}.")
        coded = {
            (name, entity): kind
            for name, codes in sorted(state.codes.items())
            for entity, kind in code_columns.looks_coded(codes, name, self.settings).items()
        }
        told = [code_columns.finding(NAME, *pair, kind) for pair, kind in coded.items()]
        overall = findings.concat([*_suspects(self.context), *told])
        counts = dict(sorted(state.texts.items()))
        return Scanned(overall, tuple(notes), texts=counts, coded=frozenset(coded))

    def score(self, shard: Shard, model: Scanned) -> findings.Findings:
        """Report the rows that hold personal data, once for each type and column."""
        contract = self.context.contract
        tables = (shard.table, shard.nested)
        return findings.concat(
            [f for t in tables for f in _found(t, shard.rows, contract, model.coded)]
        )

    @classmethod
    def prepare(cls, contract: Contract) -> None:
        """Load the model and the deny list; ASSAY-K003 if either cannot be used."""
        search.ready(settings_of(contract))

    @classmethod
    def redact(
        cls, texts: pa.Array, column: str, contract: Contract, *, key: bytes | None = None
    ) -> pa.Array:
        """Replace personal data by placeholders, or by pseudonyms with a key."""
        is_allowed = any(c.name == column and c.pii == "allow" for c in contract.columns)
        if not is_allowed and pa.types.is_nested(texts.type):
            return nested.replaced(
                texts, column, lambda values, path: cls.redact(values, path, contract, key=key)
            )
        if is_allowed or not nested.is_text(texts.type):
            return texts
        return redaction.redact(texts, column, contract, key=key)

    @classmethod
    def scan_clean(
        cls, table: pa.Table, contract: Contract, found: findings.Findings | None = None
    ) -> findings.Findings:
        """Return the personal data that a clean dataset still holds.

        A certain hit is an error whatever the column's action: it should be gone by now. Columns
        that the run has judged to hold codes are known from its findings.
        """
        rows = np.arange(table.num_rows, dtype=np.int64)
        coded = code_columns.told(NAME, found) if found is not None else frozenset()
        return findings.concat(list(_found(table, rows, contract, coded, is_clean=True)))

    @classmethod
    def suggest(cls, column: Column, texts: pa.Array) -> tuple[str, ...]:
        """Name the personal data in a column, or what its name announces."""
        comments = []
        if coded := code_columns.looks_coded(
            code_columns.gather(texts.drop_null().unique()), column.name, Settings()
        ):
            comments.append(
                f"check: some values look like {', '.join(sorted(coded))}, but the column like "
                "codes: set assay.pii to allow or quarantine"
            )
        if kinds := [kind for kind in _certain_kinds(column.name, texts) if kind not in coded]:
            comments.append(
                f"check: rows with {', '.join(kinds)} go to quarantine until assay.pii says "
                "redact, pseudonymise or allow"
            )
        is_open = (
            not (column.key or column.roles & {"label", "text"}) and column.valid_values is None
        )
        kind = headings.kind_of(column.name) if column.spec.logical == "string" else None
        if is_open and kind:
            comments.append(f"check: may hold {kind}: set assay.pii")
        return tuple(comments)

    @classmethod
    def is_private(cls, column: str, values: pa.Array | None = None) -> bool:
        """Return whether values, or each value by the column's name, may identify a person."""
        if values is None:
            return headings.is_of_persons(column)
        return bool(scan(values.unique(), column, Settings()))


def _certain_kinds(column: str, texts: pa.Array) -> list[str]:
    """Return the kinds of personal data for which rows will be quarantined, sorted."""
    found = scan(texts.drop_null().unique(), column, Settings())
    return sorted(
        {hit.entity for one in found.values() for hit, sure in one.hits if sure == "error"}
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Part:
    """Values to search: a flat column, or the values at one path of a nested one.

    Attributes:
        name: column or path; action: of the column.
        values: shape (m,); owners: int64, shape (m,), index of the row of each.
        is_nested: whether a row may have several.
    """

    name: str
    action: PiiAction
    values: pa.Array
    owners: np.ndarray
    is_nested: bool


def _parts(table: pa.Table, contract: Contract) -> Iterator[_Part]:
    """Yield what to search of a table; an unknown column is quarantined.

    These are texts, and numbers where the column's name announces telephone or card numbers.
    """
    actions = {column.name: column.pii for column in contract.columns}
    for field in table.schema:
        action: PiiAction = actions.get(field.name, "quarantine")
        if action == "allow":
            continue
        for leaf in nested.leaves(table[field.name], field.name):
            kind = leaf.values.type
            if nested.is_text(kind) or (_is_number(kind) and headings.has_numbers(leaf.path)):
                is_nested = bool(pa.types.is_nested(field.type))
                yield _Part(leaf.path, action, leaf.values, leaf.owners, is_nested)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _as_text(whole: pa.Array) -> pa.Array:
    """Return values as texts; whole numbers without a point, fractions as null."""
    if nested.is_text(whole.type):
        return whole
    if pa.types.is_floating(whole.type):
        is_whole = pc.and_(pc.equal(pc.floor(whole), whole), pc.less(pc.abs(whole), 2.0**53))
        whole = pc.if_else(is_whole, whole, None).cast(pa.int64())
    return whole.cast(pa.string())


def _suspects(context: Context) -> Iterator[findings.Findings]:
    """Yield a warning for each column that may hold names or places, where assay.pii is not set."""
    for column in context.contract.columns:
        if column.is_personal or column.valid_values is not None or column.key:
            continue
        kind = headings.kind_of(column.name)
        names = context.schema.names
        if kind and column.name in names and nested.is_text(context.schema.field(column.name).type):
            yield findings.make(
                None,
                check=NAME,
                rule="pii.column",
                column=column.name,
                severity="warning",
                evidence=f"the column's name suggests {kind}, and assay.pii is not set for it",
                suggestion="set assay.pii to redact, pseudonymise or quarantine and configure a "
                "model or a deny list (docs/privacy.md); or leave the column out; or, if its "
                "content may be used as it is, set assay.pii: allow",
            )


def _without_cards(found: dict[int, Found]) -> dict[int, Found]:
    kept = {
        at: dataclasses.replace(
            what, hits=tuple(pair for pair in what.hits if pair[0].entity != "CREDIT_CARD")
        )
        for at, what in found.items()
    }
    return {at: what for at, what in kept.items() if what.hits or what.unscanned}


def _found(
    table: pa.Table,
    rows: np.ndarray,
    contract: Contract,
    coded: code_columns.Coded = frozenset(),
    *,
    is_clean: bool = False,
) -> Iterator[findings.Findings]:
    settings = settings_of(contract)
    for part in _parts(table, contract):
        unique, codes = texts_of(_as_text(part.values))
        found = search.search(unique, part.name, settings)
        if not nested.is_text(part.values.type) and not words_of(part.name) & headings.CARDS:
            found = _without_cards(found)  # one number in ten passes a card's checksum
        found = code_columns.without_codes(found, unique, part.name, coded)
        if found:
            is_replaced = part.action in {"redact", "pseudonymise"} and not is_clean
            lines = {
                at: list(lines_of(what, is_replaced=is_replaced)) for at, what in found.items()
            }
            owned = _expanded(rows[part.owners], codes, lines, part.name)
            yield _once(owned) if part.is_nested else owned


def _once(found: findings.Findings) -> findings.Findings:
    """Keep one finding of each row and rule, the most severe: a row has many texts at a path."""
    is_milder = pc.not_equal(found["severity"], "error")
    order = pc.sort_indices(
        found.append_column("is_milder", is_milder),
        sort_keys=[(name, "ascending") for name in ("row", "rule", "is_milder", "evidence")],
    )
    found = found.take(order)
    rows, rules = found["row"].to_numpy(), found["rule"].to_numpy(zero_copy_only=False)
    is_first = np.ones(len(rows), bool)
    is_first[1:] = (rows[1:] != rows[:-1]) | (rules[1:] != rules[:-1])
    return found.filter(pa.array(is_first))


def _expanded(
    rows: np.ndarray, codes: np.ndarray, lines: dict[int, list[Line]], column: str
) -> findings.Findings:
    """Repeat the findings of each unique text for all rows that hold it."""
    places = np.array(sorted(lines), dtype=np.int64)
    flat = [line for place in places.tolist() for line in lines[place]]
    counts = np.array([len(lines[place]) for place in places.tolist()], dtype=np.int64)
    firsts = np.cumsum(counts) - counts
    flagged = np.flatnonzero(np.isin(codes, places))
    which = np.searchsorted(places, codes[flagged])
    repeats = counts[which]
    inner = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    chosen = pa.array(np.repeat(firsts[which], repeats) + inner)
    rule, severity, score, evidence, advice = (
        pa.array(list(field)).take(chosen) for field in zip(*flat, strict=True)
    )
    return findings.make(
        rows[np.repeat(flagged, repeats)],
        check=NAME,
        rule=rule,
        column=column,
        severity=severity,
        score=score,
        evidence=evidence,
        suggestion=advice,
    )
