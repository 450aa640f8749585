"""Texts that can be read and whose values still must not teach: what rules and checks are for."""

import dataclasses
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from bad_files.kind import CONTRACT, LABELS, NAMES, Cells, as_csv, cells, changed, file

Word = Literal["quarantine", "fail", "warn", "pass"]


@dataclasses.dataclass(frozen=True)
class BadSet:
    """One dataset.

    Attributes:
        name: what is wrong, unique.
        code: what it earns.
        word: rows quarantined, verdict fail, a finding that is a warning, or nothing at all.
        make: makes the file in an empty folder and returns the source's path.
        rows: that are quarantined for it.
    """

    name: str
    code: str
    word: Word
    make: Callable[[Path], str]
    rows: frozenset[int] = frozenset()
    contract: str = CONTRACT


def _csv(made: Cells) -> Callable[[Path], str]:
    return file("in.csv", lambda: as_csv(made))


def _column(name: str, texts: list[str | None], rows: int = 60) -> Cells:
    made = cells(rows)
    for row, text in zip(made, texts, strict=True):
        row[NAMES.index(name)] = text
    return made


def _varied(rows: int, seed: int = 7) -> Cells:
    """Return honest rows whose cells do not follow from their number."""
    draw, made = random.Random(seed), cells(rows)
    for row in made:
        row[2], row[3] = str(draw.randint(18, 90)), f"{draw.uniform(1, 900):.2f}"
        row[4], row[6] = draw.choice(["Oslo", "Bergen", "Molde"]), draw.choice(LABELS)
        row[7] = " ".join(draw.choice(["tax", "rent", "loan", "boat", "roof"]) for _ in range(9))
    return made


def _flooded() -> Cells:
    made, draw = _varied(1000), random.Random(1)
    for place in range(80):
        copy = list(made[0])
        copy[0], copy[1] = str(2000 + place), f"C{2000 + place}"
        copy[3] = f"{float(str(copy[3])) + draw.uniform(-0.5, 0.5):.2f}"
        made.append(copy)
    return made


def _twice() -> Cells:
    made = cells()
    made[9][0] = made[3][0]
    return made


FREE = CONTRACT.replace(
    """        quality:
          - {metric: invalidValues, arguments: {validValues: ["yes", "no"]}, mustBe: 0}
""", "",
)  # fmt: skip
HELD = [
    ("absurd number", "V004", "amount", "1e308"),
    ("control character", "V005", "note", "red \x1b[31m text"),
    ("text direction", "V006", "note", "abc\u202edef"),
    ("zero width", "V006", "note", "ab\u200bc"),
    ("look-alike letter", "V007", "city", "\u041eslo"),
    ("blank after a category", "V008", "city", "Oslo "),
    ("category in capitals", "V008", "city", "OSLO"),
    ("required cell that is missing", "V010", "age", None),
    ("label that is missing", "V013", "label", None),
    ("label that is unseen", "V013", "label", "maybe"),
]


def cases() -> Iterator[BadSet]:
    """Yield all of them."""
    for what, code, column, text in HELD:
        yield BadSet(what, code, "quarantine", _csv(changed(5, column, text)), frozenset({5}))
    yield BadSet("key twice", "V009", "quarantine", _csv(_twice()), frozenset({3, 9}))
    flood = frozenset(range(1000, 1080))
    yield BadSet("flood of near copies", "V017", "quarantine", _csv(_flooded()), flood)
    yield BadSet("one class", "V012", "fail", _csv(_column("label", ["yes"] * 60)))
    yield BadSet("no class", "V012", "fail", _csv(_column("label", [None] * 60)))
    each = _csv(_column("label", [f"name {n}" for n in range(60)]))
    yield BadSet("a label a row", "V014", "fail", each, contract=FREE)
    yield BadSet("column of nothing", "V015", "fail", _csv(_column("amount", [None] * 60)))
    yield BadSet("column of one value", "V015", "warn", _csv(_column("city", ["Oslo"] * 60)))
    yield BadSet("one row", "V016", "fail", _csv(cells(1)))
    leak = _column("code", [f"{LABELS[n % 2]}" for n in range(60)])
    yield BadSet("column that is the label", "V018", "fail", _csv(leak))
    many = [f"K{n}" for n in range(30_000)]
    made = _varied(30_000)
    for row, text in zip(made, many, strict=True):
        row[1] = text
    yield BadSet("30,000 categories", "V019", "warn", _csv(made))
    yield BadSet("nothing wrong", "", "pass", _csv(_varied(1000)))
    tiny = changed(5, "amount", "5e-324")
    tiny[6][NAMES.index("amount")] = "-0.0"
    yield BadSet("minus zero and a subnormal", "V003", "pass", _csv(tiny))
