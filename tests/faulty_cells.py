"""Planters of faulty cells: values that break a type or a rule, and personal data in text.

They work on text (`as_text`), since a number column cannot hold `forty`. See `faults.py`.
All personal data are made up: reserved domains, reserved or test number ranges.
"""

from collections.abc import Callable

import faults
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from faults import Planted, Plot, overwrite, share_of

_ALIKE = str.maketrans("AaBeHKMoTxcp", "АаВеНКМоТхср")  # noqa: RUF001  Cyrillic, on purpose


def _look_alike(text: str) -> str:
    swapped = [char.translate(_ALIKE) for char in text]
    first = next(i for i, char in enumerate(text) if swapped[i] != char)
    return text[:first] + swapped[first] + text[first + 1 :]


# what is wrong: (column, how the cell is made of the honest text)
BROKEN: dict[str, tuple[str, Callable[[str], str]]] = {
    "word for a number": ("age", lambda _: "forty"),
    "thousands separator": ("amount", lambda _: "1,234.50"),
    "not a number": ("rate", lambda _: "NaN"),
    "infinite": ("income", lambda _: "inf"),
    "absurdly large": ("amount", lambda _: "1e308"),
    "over 64 bits": ("income", lambda _: "92233720368547758080"),
    "negative": ("age", lambda _: "-4"),
    "fraction of an integer": ("term_months", lambda _: "36.5"),
    "bad date": ("applied_at", lambda _: "2026-02-30"),
    "other date format": ("applied_at", lambda text: f"{text[8:]}/{text[5:7]}/{text[:4]}"),
    "blanks round a category": ("branch", lambda text: f" {text} "),
    "case of a category": ("branch", str.upper),
    "look-alike letter": ("branch", _look_alike),
    "unknown category": ("purpose", lambda _: "yacht"),
    "control character": ("note", lambda text: text.replace(" ", " \x1b[31m", 1)),
    "zero-width character": ("note", lambda text: text.replace(" ", "\u200b ", 1)),
    "text direction": ("note", lambda text: "\u202e" + text),
    "required is missing": ("amount", lambda _: ""),
    "label is missing": ("defaulted", lambda _: ""),
    "label not valid": ("defaulted", lambda _: "maybe"),
    "key of another row": ("loan_id", lambda text: text),
}


def as_text(table: pa.Table) -> pa.Table:
    """Return the table as a CSV would hold it: strings, dates as yyyy-MM-dd, null as null."""
    return pa.table(
        {n: pc.cast(table[n].combine_chunks(), pa.string()) for n in table.column_names}
    )


def break_values(
    table: pa.Table, *, share: float = 0.005, seed: int = 0, plot: Plot | None = None
) -> Planted:
    """Break one cell a row, each kind of `BROKEN` in turn; the table comes back as text.

    A doubled key is one planted row, and the row whose key it copies is planted too.
    """
    rng, plot = np.random.default_rng(seed), plot or Plot.of(table)
    table = as_text(table)
    full = np.logical_and.reduce([c.is_valid().to_numpy() for c in table.columns])
    rows = plot.take(rng, share_of(table, share), full)
    kinds = list(BROKEN)
    by_row = {int(row): kinds[i % len(kinds)] for i, row in enumerate(rng.permutation(rows))}
    for row in [row for row, kind in by_row.items() if kind == "key of another row"]:
        other = int(plot.take(rng, 1, full)[0])
        table = overwrite(table, "loan_id", np.array([row]), table["loan_id"][other].as_py())
        by_row[other] = "key of another row"
    for kind, (column, edit) in BROKEN.items():
        where = np.array([row for row, is_kind in by_row.items() if is_kind == kind], int)
        order = np.sort(where)
        cells = [edit(text) for text in table[column].take(order).to_pylist()]
        table = overwrite(table, column, order, cells)
    rows = np.array(sorted(by_row))
    return Planted(table, rows, [by_row[row] for row in rows.tolist()])


def plant_all(
    table: pa.Table, risk: np.ndarray, seed: int, *, plot: Plot, texts: tuple[str, ...] = ("note",)
) -> tuple[pa.Table, dict[int, tuple[str, str]]]:
    """Plant every kind of fault, each on rows of its own, at its usual share.

    Returns the table as text, and row -> (kind, detail).
    """
    truth: dict[int, tuple[str, str]] = {}
    with_risk = {"plot": plot, "risk": risk}
    steps = [
        ("flood", faults.plant_flood, with_risk),
        ("backdoor", faults.plant_backdoor, with_risk),
        ("joint_outlier", faults.plant_joint_outliers, {"plot": plot}),
        ("wrong_label", faults.flip_labels, with_risk),
        *[("pii", plant_pii, {"plot": plot, "column": column}) for column in texts],
        ("broken_value", break_values, {"plot": plot}),
    ]
    for number, (kind, planter, options) in enumerate(steps):
        table, rows, details = planter(table, seed=100 * number + seed, **options)
        truth |= {int(r): (kind, d) for r, d in zip(rows, details, strict=True)}
    return table, truth


def plant_pii(
    table: pa.Table,
    *,
    share: float = 0.005,
    seed: int = 0,
    plot: Plot | None = None,
    column: str = "note",
) -> Planted:
    """Write one made-up personal datum into the text of each row, the kinds of `PII` in turn."""
    rng, plot = np.random.default_rng(seed), plot or Plot.of(table)
    rows = plot.take(rng, share_of(table, share), faults._is_full(table[column]))
    kinds = [list(PII)[i % len(PII)] for i in range(len(rows))]
    found = [PII[kind](rng) for kind in kinds]
    texts = table[column].take(rows).to_pylist()
    notes = [f"{text}{between}{datum}" for text, between, datum in zip(
        texts, rng.choice(_BEFORE, len(rows)).tolist(), found, strict=True
    )]  # fmt: skip
    return Planted(overwrite(table, column, rows, notes), rows, kinds)


_BEFORE = (". Reach at ", ", left ", "; see ", " - wrote down ", ", gave ")


def _digits(rng: np.random.Generator, count: int) -> str:
    return "".join(str(digit) for digit in rng.integers(0, 10, count).tolist())


def _email(rng: np.random.Generator) -> str:
    name = rng.choice(["kari.n", "ola_h", "post.box", "m.berg", "test-user"])
    return (
        f"{name}{_digits(rng, 2)}@{rng.choice(['example.com', 'example.org', 'mail.example.net'])}"
    )


def _phone_us(rng: np.random.Generator) -> str:
    area, last = rng.choice(["212", "415", "303", "617"]), "01" + _digits(rng, 2)
    shape = rng.choice(["({a}) 555-{b}", "{a}-555-{b}", "+1 {a} 555 {b}", "{a}.555.{b}"])
    return str(shape).format(a=area, b=last)


def _phone_uk(rng: np.random.Generator) -> str:
    return f"+44 20 7946 0{_digits(rng, 3)}"


def _iban(rng: np.random.Generator) -> str:
    account = "WEST" + _digits(rng, 14)
    number = "".join(str(int(char, 36)) for char in account + "GB00")
    check = 98 - int(number) % 97
    return f"GB{check:02d}{account}"


def _card(rng: np.random.Generator) -> str:
    body = str(rng.choice(["4000", "4242", "5200"])) + "00" + _digits(rng, 9)
    doubled = [int(d) * 2 if i % 2 == 0 else int(d) for i, d in enumerate(body)]
    total = sum(d - 9 if d > 9 else d for d in doubled)
    number = body + str(-total % 10)
    joint = str(rng.choice(["", " ", "-"]))
    return joint.join(number[i : i + 4] for i in range(0, 16, 4))


def _ssn(rng: np.random.Generator) -> str:
    # numbers from 900 with a middle below 50 were never given to anybody
    first, middle = int(rng.integers(900, 990)), int(rng.integers(10, 50))
    return f"{first}-{middle}-{int(rng.integers(1000, 9999))}"


PII: dict[str, Callable[[np.random.Generator], str]] = {
    "e-mail": _email,
    "telephone, US": _phone_us,
    "payment card": _card,
    "IBAN": _iban,
    "social security number": _ssn,
    "telephone, UK": _phone_uk,
}
