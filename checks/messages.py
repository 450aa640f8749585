"""Chat messages: speakers, order, empty turns, missing answers, system prompts, length.

Threat: degradation by broken conversations; poisoning by a planted system prompt. State: counts of
rows by fault, up to 10,000 system prompts with counts, a histogram of lengths. Cost: two passes.
Nulls: a missing list is left to `required`; a missing speaker or text is a fault.
Blind to: what is said (see the checks `answers` and `texts`); answers to other questions;
conventions that most rows share: a fault of more than one row in 20 is reported for the dataset and
holds no row.
"""

import dataclasses
from typing import ClassVar

import numpy as np

from checks.kit import conventions, findings
from checks.kit.nested_roles import conversations
from checks.kit.protocol import Check, Context, Explains, Explanation, Model
from checks.kit.turns import STEPS, bins, faults, turns_of
from provenance.rows.shards import Shard

MOST_PROMPTS = 10_000
RARE, USUAL = 0.01, 0.9  # a rare system prompt, where another one is usual
LEAST = 100  # rows with a system prompt, to call one rare
LONG = 16  # times the length of one row in a hundred
_ALLOWED = "check that your chat format allows it"
_PROMPT = "read the prompt: it may have been planted"
_ADVICE = "repair the conversation at its source, or release the row"
_ORDER = (
    "a speaker has two turns in a row, the assistant begins, or a system prompt is not the first "
    "turn"
)
_ROW_RULES: dict[str, tuple[findings.Severity, str]] = {
    "messages.empty": ("error", "the conversation has no turns, or a turn without text"),
    "messages.role": ("error", "a turn has no speaker, or one that no chat format knows"),
    "messages.order": ("error", _ORDER),
    "messages.unanswered": ("error", "the last turn is not the assistant's"),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class State:
    """Summary of shards, by column.

    Attributes:
        rows: with messages; faults: rows by rule; prompts: rows by hash of the system prompt, None
            if they are too many; lengths: rows by bin of their length.
    """

    rows: dict[str, int]
    faults: dict[str, dict[str, int]]
    prompts: dict[str, dict[int, int] | None]
    lengths: dict[str, dict[int, int]]


@dataclasses.dataclass(frozen=True)
class Conventions(Model):
    """What is usual.

    Attributes:
        held: by column and rule, the severity of rules whose rows are findings; rare: hashes of
            rare system prompts; longest: the bin beyond which a conversation is long.
    """

    held: dict[str, dict[str, findings.Severity]] = dataclasses.field(default_factory=dict)
    rare: dict[str, frozenset[int]] = dataclasses.field(default_factory=dict)
    longest: dict[str, int] = dataclasses.field(default_factory=dict)


class Messages(Check[State, Conventions]):
    """Find conversations that a chat model cannot learn from."""

    name: ClassVar[str] = "messages"
    threats: ClassVar[tuple[str, ...]] = ("drift and degradation", "data poisoning")
    needs: ClassVar[frozenset[str]] = frozenset({"messages"})
    is_of_role: ClassVar[bool] = True
    explains: ClassVar[Explains] = {
        **{
            rule: Explanation(
                ("error", "warning", "info"),
                f"In this row, {says}.",
                "Such rows are reported one by one if they make up at most 5% of the dataset. If "
                "there are more, they are taken for a convention of the dataset, and a single "
                "warning says so. Unanswered conversations are warnings if they make up more than "
                "1%.",
                f"{_ADVICE.capitalize()}.",
            )
            for rule, (_, says) in _ROW_RULES.items()
        },
        "messages.system": Explanation(
            ("warning",),
            "The system prompt is rare, while nearly all rows share another one.",
            "At most 1% of the rows with a system prompt have this one, and at least 90% share "
            "another.",
            f"{_PROMPT.capitalize()}.",
        ),
        "messages.length": Explanation(
            ("error",),
            "The conversation is far longer than the others.",
            "It has more than 16 times as many characters as the 99th percentile of the "
            "conversations.",
            "Check that it is a single conversation and that it fits your model's context window.",
        ),
    }

    def __init__(self, context: Context) -> None:
        """Choose the columns."""
        super().__init__(context)
        contract = context.contract
        self.parts = conversations(contract, contract.having("messages"))

    def fit(self, shard: Shard) -> State:
        """Count faults, system prompts and lengths."""
        state = State({}, {}, {}, {})
        for name in self._columns(shard):
            turns = turns_of(shard.nested[name], *self.parts[name])
            state.rows[name] = int(turns.is_there.sum())
            state.faults[name] = {rule: int(mask.sum()) for rule, mask in faults(turns).items()}
            state.prompts[name] = _counted(turns.prompts[turns.prompts != 0])
            state.lengths[name] = _counted(bins(turns)[turns.is_there])
        return state

    def merge(self, left: State, right: State) -> State:
        """Add the counts."""
        names = left.rows.keys() | right.rows.keys()
        merged = State({}, {}, {}, {})
        for name in names:
            merged.rows[name] = left.rows.get(name, 0) + right.rows.get(name, 0)
            merged.faults[name] = _added(left.faults.get(name, {}), right.faults.get(name, {}))
            merged.lengths[name] = _added(left.lengths.get(name, {}), right.lengths.get(name, {}))
            mine, theirs = left.prompts.get(name, {}), right.prompts.get(name, {})
            both = None if mine is None or theirs is None else _added(mine, theirs)
            merged.prompts[name] = both if both is None or len(both) <= MOST_PROMPTS else None
        return merged

    def finish(self, state: State) -> Conventions:
        """Tell faults from conventions, and rare prompts and lengths from usual ones."""
        overall, held, rare, longest = [findings.empty()], {}, {}, {}
        for name, rows in sorted(state.rows.items()):
            shared = {
                rule: n
                for rule, n in sorted(state.faults[name].items())
                if conventions.is_one(n, rows)
            }
            held[name] = {
                rule: _severity(rule, state.faults[name].get(rule, 0), rows)
                for rule in _ROW_RULES
                if rule not in shared
            }
            overall += [
                conventions.told(rule, name, n, rows, _ROW_RULES[rule][1], _ALLOWED)
                for rule, n in shared.items()
            ]
            rare[name] = _rare(state.prompts[name])
            longest[name] = _longest(state.lengths[name], rows)
        return Conventions(findings.concat(overall), held=held, rare=rare, longest=longest)

    def score(self, shard: Shard, model: Conventions) -> findings.Findings:
        """Report the rows with a fault that is no convention."""
        found = [findings.empty()]
        for name in self._columns(shard):
            turns = turns_of(shard.nested[name], *self.parts[name])
            masks = faults(turns)
            for rule, severity in model.held.get(name, {}).items():
                says = _ROW_RULES[rule][1]
                found.append(self._rows(shard.rows[masks[rule]], name, rule, severity, says))
            if rare := model.rare.get(name):
                mask = np.isin(turns.prompts, np.array(sorted(rare), np.uint64))
                says = "the system prompt is rare, and nearly all rows share another one"
                rows = shard.rows[mask]
                found.append(
                    self._rows(rows, name, "messages.system", "warning", says, advice=_PROMPT)
                )
            mask = bins(turns) > model.longest.get(name, 1 << 30)
            says = "the conversation is far longer than nearly all others"
            rows = shard.rows[mask]
            found.append(self._rows(rows, name, "messages.length", "error", says))
        return findings.concat(found)

    def _columns(self, shard: Shard) -> list[str]:
        return [name for name in self.parts if name in shard.nested.column_names]

    def _rows(
        self, rows: np.ndarray, column: str, rule: str, severity: str, says: str, *,
        advice: str = _ADVICE,
    ) -> findings.Findings:  # fmt: skip
        return findings.make(
            rows, check=self.name, rule=rule, column=column, severity=severity, evidence=says,
            suggestion=advice,
        )  # fmt: skip


def _severity(rule: str, faulty: int, rows: int) -> findings.Severity:
    if rule == "messages.unanswered":  # which may be meant
        return conventions.severity(faulty, rows)
    return _ROW_RULES[rule][0]


def _counted(values: np.ndarray) -> dict[int, int]:
    found, counts = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def _added(left: dict, right: dict) -> dict:  # type: ignore[type-arg]
    return {key: left.get(key, 0) + right.get(key, 0) for key in left.keys() | right.keys()}


def _rare(prompts: dict[int, int] | None) -> frozenset[int]:
    total = sum((prompts or {}).values())
    if not prompts or total < LEAST or max(prompts.values()) < USUAL * total:
        return frozenset()
    return frozenset(prompt for prompt, rows in prompts.items() if rows <= RARE * total)


def _longest(lengths: dict[int, int], rows: int) -> int:
    """Return the bin beyond which a conversation is long."""
    above = 0
    for place in sorted(lengths, reverse=True):
        above += lengths[place]
        if above > rows // 100:
            return place + int(STEPS * np.log2(LONG))
    return 1 << 30
