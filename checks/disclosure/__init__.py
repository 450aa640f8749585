"""Disclosure risk: rows that their quasi-identifiers single out, and the smallest remedy.

Threat: data leakage, model inversion. State: one entry per equivalence class, at most 500,000; in
excess of that, those of lowest hash, each with its full count. Cost: one pass and one sort per
shard; the search for a plan regroups the classes up to 100 times. Nulls: a value like any other.
Blind to: quasi-identifiers that nobody declared; people with several rows (a class counts rows);
rows quarantined later for other reasons, which can make classes smaller.
Source: k-anonymity (Samarati 2001; Sweeney 2002), l-diversity (Machanavajjhala et al. 2007).
"""

import dataclasses
from typing import ClassVar

import numpy as np
import pyarrow as pa

from checks.disclosure import equivalence_classes, generalisation_plan
from checks.disclosure.equivalence_classes import Classes
from checks.kit import findings
from checks.kit.column_words import word_set, words_of
from checks.kit.contract_model import Column
from checks.kit.option_types import Takes
from checks.kit.protocol import Check, Context, Explains, Explanation, Model
from checks.kit.wording import count, percent
from provenance.rows.shards import Shard

RISK, ALIKE, ROW = "disclosure.k_anonymity", "disclosure.l_diversity", "disclosure.small_class"
TAKES: Takes = {
    "k": "several",
    "l": "several",
    "max_suppressed": "share",
    "severity": frozenset({"warning", "error"}),
    "sensitive": "columns",
}
# names of columns whose values a neighbour or an employer may know
_KNOWN_TO_OTHERS = word_set(
    "age alter edad eta idade leeftijd alder wiek sex gender geschlecht sexo sesso sexe kjonn kon "
    "birth birthdate birthday dob born geburtsdatum geburtstag naissance nacimiento nascita "
    "nascimento zip zipcode postcode postal postalcode plz cap city town village district county "
    "municipality region state province country ort stadt ville ciudad citta cidade gemeinde "
    "occupation profession job employment employer beruf metier profesion professione nationality "
    "citizenship race ethnicity religion marital married education school degree language height "
    "weight household children dependents"
)
_OF_THINGS = word_set("average mean account loan product contract order device network solid")


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """Options of the check.

    Attributes:
        k: least number of rows in a class.
        l: least number of distinct values of each sensitive column in a class.
        max_suppressed: share of the rows that may be left out to reach k.
        severity: of the findings, `warning` or `error`.
        sensitive: columns that nobody may infer about a person; None for the label.
    """

    k: int = 5
    l: int = 2  # noqa: E741 - its name in the literature
    max_suppressed: float = 0.05
    severity: findings.Severity = "warning"
    sensitive: list[str] | None = None


@dataclasses.dataclass(frozen=True)
class Small(Model):
    """The model; `keys`: hashes of the classes under k whose rows are reported, ascending."""

    keys: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.uint64))


class Disclosure(Check[Classes, Small]):
    """Measure k-anonymity and l-diversity, and propose the smallest change that reaches k."""

    name: ClassVar[str] = "disclosure"  # storage key: never rename
    threats: ClassVar[tuple[str, ...]] = ("data leakage", "model inversion")
    needs: ClassVar[frozenset[str]] = frozenset({"quasi_identifier"})
    takes: ClassVar[Takes] = TAKES
    explains: ClassVar[Explains] = {
        "disclosure.k_anonymity": Explanation(
            ("error", "warning", "info"),
            "Some rows can be singled out by their quasi-identifiers.",
            "Fewer than k rows (option `k`, default 5) share the same quasi-identifiers. The "
            "option `severity` sets the severity; it is info if those rows are quarantined "
            "individually.",
            "Make the columns coarser at their source as the report proposes, or set the k that "
            "your policy requires (assay.checks.disclosure.k).",
        ),
        "disclosure.l_diversity": Explanation(
            ("error", "warning", "info"),
            "Anyone who knows a person's quasi-identifiers can infer a sensitive value.",
            "Rows with the same quasi-identifiers have fewer than l distinct values (option `l`, "
            "default 2) in a sensitive column. The option `severity` sets the severity; it is info "
            "unless the contract sets `l`.",
            "Make the quasi-identifiers coarser at their source, or set the l that your policy "
            "requires (assay.checks.disclosure.l).",
        ),
        "disclosure.small_class": Explanation(
            ("error", "info"),
            "Too few rows share this row's quasi-identifiers.",
            "Fewer than k rows share the row's quasi-identifiers, and such rows make up no more "
            "than the proportion set by the option `max_suppressed` (default 5%). Error if the "
            "option `severity` is error, otherwise info.",
            "Leave the row out, or make the quasi-identifiers coarser at their source.",
        ),
    }

    def __init__(self, context: Context) -> None:
        """Read the options and choose the columns."""
        super().__init__(context)
        names = context.schema.names
        self.settings = Settings(**self.options)
        self.is_strict = self.settings.severity == "error"
        contract = context.contract
        self.columns = [n for n in contract.having("quasi_identifier") if n in names]
        given = self.settings.sensitive
        labels = [contract.label] if contract.label else []
        wanted = given if given is not None else labels
        self.sensitive = [n for n in wanted if n in names and n not in self.columns]

    def fit(self, shard: Shard) -> Classes:
        """Count the classes of a shard."""
        return equivalence_classes.gather(shard.table, self.columns, self.sensitive)

    def merge(self, left: Classes, right: Classes) -> Classes:
        """Add the counts of equal classes."""
        return equivalence_classes.merge(left, right)

    def finish(self, state: Classes) -> Small:
        """Measure the classes and search for the smallest change."""
        if not self.columns or not len(state.counts):
            return Small()
        counts, k = state.counts, self.settings.k
        small = counts < k
        share = float(counts[small].sum() / counts.sum())
        notes = [self._note(state, share)]
        parts = [self._alike(state, column) for column in self.sensitive]
        if not share:
            overall = findings.concat([part for part in parts if part is not None])
            return Small(overall=overall, notes=tuple(notes))
        plan = generalisation_plan.propose(state, self.columns, k, self.settings.max_suppressed)
        is_few = share <= self.settings.max_suppressed and state.is_whole
        parts.append(self._risk(state, share, plan.sentence(), is_few=is_few))
        keys = state.keys[small] if is_few else state.keys[:0]
        overall = findings.concat([part for part in parts if part is not None])
        return Small(overall=overall, notes=(*notes, plan.sentence()), keys=keys)

    def score(self, shard: Shard, model: Small) -> findings.Findings:
        """Report the rows of classes under k if they are few enough to be left out."""
        if not len(model.keys) or not len(shard.rows):
            return findings.empty()
        hit = np.isin(equivalence_classes.keys_of(shard.table, self.columns), model.keys)
        return findings.make(
            shard.rows[hit],
            check=self.name,
            rule=ROW,
            severity="error" if self.is_strict else "info",  # nothing is suspicious about a row
            evidence=f"Fewer than {self.settings.k} rows share the row's values in "
            f"{', '.join(self.columns)}.",
            suggestion="leave the row out, or make these columns coarser at their source",
        )

    @classmethod
    def suggest(cls, column: Column, texts: pa.Array) -> tuple[str, ...]:  # noqa: ARG003
        """Propose the role of a quasi-identifier where the column's name suggests it."""
        if column.key or column.roles & {"label", "text"} or not is_quasi_identifier(column.name):
            return ()
        return ("check: describes a person? {property: assay.role, value: quasi_identifier}",)

    def _note(self, state: Classes, share: float) -> str:
        counts = state.counts
        alone = float(counts[counts == 1].sum() / counts.sum())
        part = "" if state.is_whole else f" (estimated from {len(counts):,} classes)"
        return (
            f"Rows grouped by {', '.join(self.columns)}: {count(len(counts), 'class')}, the "
            f"smallest of {count(int(counts.min()), 'row')}; {percent(share, 2)} of the rows are "
            f"in classes of fewer than {self.settings.k}, {percent(alone, 2)} are unique{part}."
        )

    def _risk(self, state: Classes, share: float, plan: str, *, is_few: bool) -> findings.Findings:
        evidence = f"{self._note(state, share)} {plan}"
        return findings.make(
            None,
            check=self.name,
            rule=RISK,
            # with those rows in quarantine, the remaining ones reach k
            severity="info" if is_few and self.is_strict else self.settings.severity,
            score=share,
            evidence=evidence,
            suggestion="make the columns coarser at their source as proposed, or set the k that "
            "your policy requires (assay.checks.disclosure.k)",
        )

    def _alike(self, state: Classes, column: str) -> findings.Findings | None:
        """Report classes that give a sensitive value away; only `info` unless l is set."""
        least = self.settings.l
        distinct = state.distinct(self.sensitive.index(column))
        share = float(state.counts[distinct < least].sum() / state.counts.sum())
        if not share:
            return None
        few = "one value" if least == 2 else f"fewer than {least} distinct values"  # noqa: PLR2004
        return findings.make(
            None,
            check=self.name,
            rule=ALIKE,
            column=column,
            severity=self.settings.severity if "l" in self.options else "info",
            score=share,
            evidence=f"{percent(share, 2)} of the rows are in classes with {few} of '{column}': "
            f"anyone who knows a person's {', '.join(self.columns)} can infer that value.",
            suggestion="make these columns coarser at their source, or set the l that your policy "
            "requires (assay.checks.disclosure.l)",
        )


def is_quasi_identifier(name: str) -> bool:
    """Return whether a column's name says that others may know its value for a person."""
    words = words_of(name)
    return bool(words & _KNOWN_TO_OTHERS) and not words & _OF_THINGS
