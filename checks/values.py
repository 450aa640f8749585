"""Values that no sound export contains: absurd numbers, hidden characters, odd spellings.

Threat: poisoning by values that wreck a scale or hide a trigger; look-alike categories.
State: per text column up to 1,000 categories with counts; one bounded sample of the numbers.
Cost: two passes, O(n); only the unique values are searched for characters (RE2), those of nested
columns too; spellings are compared in flat columns and in lists of labels or tags.
Nulls: ignored; ingest has already refused NaN and infinities (V001, V002).
Blind to: less extreme outliers (see the check `outliers`); odd spellings of rare categories.
Source: Unicode Standard Annex 9 (bidi) and Technical Standard 39; Hampel 1974 (median, MAD).
"""

import dataclasses
import re
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import findings, sample, text_leaves
from checks.kit.protocol import Check, Context, Model
from checks.kit.text_folding import skeleton
from provenance.rows import nested
from provenance.rows.arrow_bytes import mask_of
from provenance.rows.shards import Shard

CAP = 1_000  # distinct values of a categorical column
LONGEST = 200  # characters in a category; longer text is prose
SAMPLE = 4_096  # rows for the median and the spread
ABSURD = 1e30  # times the column's own scale: no mistake of units reaches it, and no int64
RARE_SHARE, USUAL_TIMES = 0.01, 20  # an odd spelling is this rare, the usual one this much commoner
FEW, FEW_TIMES = 1, 8  # a single odd row needs less: in a small table 1 % is less than one row

CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}]"
# invisible characters; joiners are legitimate in scripts that need them, tags in flag emoji
_ALWAYS = r"\x{200b}\x{2060}-\x{2064}\x{2066}-\x{206f}\x{202a}-\x{202e}\x{feff}"
HIDDEN = (
    rf"[{_ALWAYS}\x{{e0001}}-\x{{e007f}}]|(?:^|[\x00-\x7f])[\x{{200c}}\x{{200d}}]"
    r"|[\x{200c}\x{200d}][0-9A-Za-z]"
)
_FLAG = r"\x{1f3f4}[\x{e0020}-\x{e007e}]+\x{e007f}"
_SHOWN = 3  # characters that the evidence names
_WORD = re.compile(r"[^\W\d_]{1,30}")
_ADVICE = "remove the characters at the source, or reject the row"

Counts = dict[str, dict[str, int] | None]


@dataclasses.dataclass(frozen=True)
class State:
    """Summary of shards.

    Attributes:
        counts: rows of each category by column; None if they are too many or too long.
        numbers: bounded sample of the numeric columns, None without such columns.
    """

    counts: Counts
    numbers: pa.Table | None


@dataclasses.dataclass(frozen=True)
class Fitted(Model):
    """The usual spellings and the scale of each column.

    Attributes:
        usual: by column, odd spelling -> (code, usual spelling).
        centre: by column, (median, scale): a number further off than ABSURD scales is absurd.
    """

    usual: dict[str, dict[str, tuple[str, str]]] = dataclasses.field(default_factory=dict)
    centre: dict[str, tuple[float, float]] = dataclasses.field(default_factory=dict)


class Values(Check[State, Fitted]):
    """Find absurd numbers, hidden characters and odd spellings: V004 to V008."""

    name: ClassVar[str] = "values"
    threats: ClassVar[tuple[str, ...]] = ("data poisoning", "adversarial attacks")

    def __init__(self, context: Context) -> None:
        """Choose the nested columns that list categories."""
        super().__init__(context)
        having = context.contract.having
        self.lists = {*having("labels"), *having("tags")}

    def fit(self, shard: Shard) -> State:
        """Count categories and sample numbers."""
        counts = {name: _counted(shard.table[name]) for name in self._categorical(shard.table)}
        for name in self.lists & {*shard.nested.column_names}:
            for leaf in nested.leaves(shard.nested[name], name):
                if nested.is_text(leaf.values.type):
                    counts[leaf.path] = _counted(leaf.values.cast(pa.string()))
        numeric = _numeric(shard.table.schema)
        return State(counts, sample.take(shard, numeric, SAMPLE) if numeric else None)

    def merge(self, left: State, right: State) -> State:
        """Add the counts and keep the lowest ranks of both samples."""
        names = left.counts.keys() | right.counts.keys()
        counts = {n: _added(left.counts.get(n, {}), right.counts.get(n, {})) for n in names}
        if left.numbers is None or right.numbers is None:
            return State(counts, None)
        return State(counts, sample.merge(left.numbers, right.numbers, SAMPLE))

    def finish(self, state: State) -> Fitted:
        """Find the odd spellings, and the median and scale of each numeric column."""
        valid = {c.name: set(c.valid_values or ()) for c in self.context.contract.columns}
        usual = {
            n: _odd(counts, valid.get(n, set())) for n, counts in state.counts.items() if counts
        }
        numbers = pa.table({}) if state.numbers is None else sample.settled(state.numbers)
        centre = {n: _centre(numbers[n]) for n in _numeric(numbers.schema)}
        return Fitted(
            usual={n: odd for n, odd in sorted(usual.items()) if odd},
            centre={n: at for n, at in sorted(centre.items()) if at is not None},
        )

    def score(self, shard: Shard, model: Fitted) -> findings.Findings:
        """Report the bad values of one shard as errors."""
        names = {field.name for field in shard.table.schema if _is_text(field.type)}
        parts = []
        for texts in text_leaves.texts_of(shard, names):
            parts += self._texts(shard, texts, model.usual.get(texts.path, {}))
        for name in shard.table.column_names:
            if name in model.centre:
                parts += self._numbers(shard, name, model.centre[name])
        return findings.concat(parts)

    def _categorical(self, table: pa.Table) -> list[str]:
        known = {column.name: column for column in self.context.contract.columns}
        texts = [field.name for field in table.schema if _is_text(field.type)]
        skipped = {n for n, c in known.items() if c.key or c.roles & {"text", "time"}}
        return [name for name in texts if name not in skipped]

    def _texts(
        self, shard: Shard, texts: text_leaves.Texts, usual: dict[str, tuple[str, str]]
    ) -> list[findings.Findings]:
        values = texts.unique
        control = pc.match_substring_regex(values, CONTROL)
        hidden = pc.match_substring_regex(pc.replace_substring_regex(values, _FLAG, ""), HIDDEN)
        parts = []
        for code, mask, kind, pattern in (
            ("V005", control, "control", CONTROL),
            ("V006", hidden, "hidden", HIDDEN),
        ):
            where = np.flatnonzero(mask_of(mask)).tolist()
            named = [f"{kind} character {_named(values[at].as_py(), pattern)}" for at in where]
            told = {at: (text, _ADVICE) for at, text in zip(where, named, strict=True)}
            parts.append(self._found(shard, texts, code, told))
        if usual:
            at = pc.index_in(pa.array(list(usual), values.type), values).to_pylist()
            for code in ("V007", "V008"):
                told = {
                    place: (_oddity(value, code), f"use the usual spelling{_shown(known[1])}")
                    for place, (value, known) in zip(at, usual.items(), strict=True)
                    if place is not None and known[0] == code
                }
                parts.append(self._found(shard, texts, code, told))
        return parts

    def _found(
        self, shard: Shard, texts: text_leaves.Texts, code: str, told: dict[int, tuple[str, str]]
    ) -> findings.Findings:
        if not told:
            return findings.empty()
        place = np.full(len(texts.unique), -1)
        place[list(told)] = np.arange(len(told))
        which = place[texts.codes]
        # of a row's texts at one path, the first that is bad stands for all
        owners, first = np.unique(texts.owners[which >= 0], return_index=True)
        which = pa.array(which[which >= 0][first])
        evidence, suggestion = (
            pa.array(list(parts)).take(which) for parts in zip(*told.values(), strict=True)
        )
        return findings.make(
            shard.rows[owners],
            check=self.name,
            rule=f"ASSAY-{code}",
            column=texts.path,
            evidence=evidence,
            suggestion=suggestion,
        )

    def _numbers(
        self, shard: Shard, name: str, centre: tuple[float, float]
    ) -> list[findings.Findings]:
        values = pc.cast(shard.table[name], pa.float64(), safe=False)
        numbers = values.to_numpy(zero_copy_only=False)
        middle, scale = centre
        far = np.isfinite(numbers) & (np.abs(numbers / 2 - middle / 2) > ABSURD * scale / 2)
        rows = np.flatnonzero(far)
        if not len(rows):
            return []
        evidence = (
            f"the number is more than {ABSURD:.0e} times the column's scale ({scale:.3g}) away "
            "from the column's median"
        )
        advice = "repair the source, or set a minimum and a maximum in the contract"
        fixed = {"check": self.name, "rule": "ASSAY-V004", "column": name}
        return [findings.make(shard.rows[rows], evidence=evidence, suggestion=advice, **fixed)]


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _numeric(schema: pa.Schema) -> list[str]:
    own = {sample.RANK, sample.ROW, sample.FOLD}
    kinds = (pa.types.is_integer, pa.types.is_floating)
    return [f.name for f in schema if f.name not in own and any(is_(f.type) for is_ in kinds)]


def _counted(column: pa.ChunkedArray | pa.Array) -> dict[str, int] | None:
    counted = pc.value_counts(column.drop_null())
    values, counts = counted.field(0), counted.field(1)
    longest = pc.max(pc.utf8_length(values)).as_py() or 0
    if len(values) > CAP or longest > LONGEST:
        return None
    return dict(zip(values.to_pylist(), counts.to_pylist(), strict=True))


def _added(left: dict[str, int] | None, right: dict[str, int] | None) -> dict[str, int] | None:
    # None absorbs: too many in one part is too many in the whole, for any cut
    if left is None or right is None:
        return None
    total = {key: left.get(key, 0) + right.get(key, 0) for key in left.keys() | right.keys()}
    return total if len(total) <= CAP else None


def _odd(counts: dict[str, int], valid: set[Any]) -> dict[str, tuple[str, str]]:
    total = sum(counts.values())
    groups: dict[str, list[str]] = {}
    for value in sorted(counts):
        groups.setdefault(skeleton(value), []).append(value)
    odd = {}
    for alike in (group for group in groups.values() if len(group) > 1):
        usual = max(alike, key=lambda value: (value in valid, counts[value], value))
        for value in alike:
            if value not in valid and _is_odd(counts[value], counts[usual], total):
                odd[value] = (_spelling(value, usual), usual)
    return odd


def _is_odd(count: int, usual: int, total: int) -> bool:
    if count <= FEW and usual >= FEW_TIMES:
        return True
    return count <= RARE_SHARE * total and usual >= USUAL_TIMES * count


def _spelling(value: str, usual: str) -> str:
    blank_free = ("".join(text.casefold().split()) for text in (value, usual))
    return "V008" if len(set(blank_free)) == 1 else "V007"


def _centre(column: pa.ChunkedArray) -> tuple[float, float] | None:
    numbers = pc.cast(column.drop_null(), pa.float64(), safe=False).to_numpy()
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return None
    middle = float(np.median(numbers / 2)) * 2  # the sum of two large ones is infinite
    spread = float(np.median(np.abs(numbers / 2 - middle / 2))) * 2
    # a column that is mostly one value has no spread; its magnitude, at least 1, is the scale
    return middle, max(spread, abs(middle), 1.0)


def _named(value: str, pattern: str) -> str:
    python = re.sub(r"\\x\{([0-9a-f]+)\}", lambda hit: f"\\U{int(hit[1], 16):08x}", pattern)
    flag = re.compile(re.sub(r"\\x\{([0-9a-f]+)\}", lambda h: f"\\U{int(h[1], 16):08x}", _FLAG))
    text = flag.sub(lambda hit: " " * len(hit[0]), value)
    places = [(at, char) for hit in re.finditer(python, text) for at, char in _odd_in(hit)]
    shown = ", ".join(f"U+{ord(char):04X} at character {at}" for at, char in places[:_SHOWN])
    more = len(places) - _SHOWN
    return shown + (f" and {more} more" if more > 0 else "")


def _odd_in(hit: re.Match[str]) -> list[tuple[int, str]]:
    plain = re.compile(r"[\t\n\r\x20-\x7e]")
    return [(hit.start() + i, char) for i, char in enumerate(hit[0]) if not plain.match(char)]


def _shown(category: str) -> str:
    # only a category of one word is shown: anything longer may be somebody's address
    return f" {category!a}" if _WORD.fullmatch(category) else " of most rows"


def _oddity(value: str, code: str) -> str:
    if code == "V008":
        return "differs from a common category only in whitespace or letter case"
    foreign = [(at, char) for at, char in enumerate(value) if not char.isascii()]
    shown = ", ".join(f"U+{ord(char):04X} at character {at}" for at, char in foreign[:_SHOWN])
    return f"looks like a common category but is spelt with {shown or 'other characters'}"
