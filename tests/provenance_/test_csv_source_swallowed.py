"""Stray quotes that swallow rows, beside honest texts over several lines."""

import pytest

from provenance.readers.csv_block import Form
from provenance.readers.csv_block import swallowed as reasons_of
from provenance.readers.csv_dialect import Dialect
from provenance.readers.ingest import Limits
from provenance.rows.column_types import ColumnSpec

LIMITS = Limits()
COMMA = Dialect(",")
WIDE = ["id", "name", "city", "street", "note", "zip", "kind", "day"]
TYPED = tuple(
    ColumnSpec(name, {"id": "integer", "day": "date"}.get(name, "string")) for name in WIDE
)
ROW = "7,Ada,Oslo,Main 1,ok,0123,a,2025-03-04"


def swallowed(text, columns, specs, dialect, limits):
    """Return the verdict on one row, which must be the same among others."""
    form = Form("a.csv", columns, specs, limits, dialect)
    alone = reasons_of(form, [text])
    assert reasons_of(form, [b"x", text, b"y\nz"])[1:2] == alone
    return alone[0]


@pytest.mark.parametrize("specs", [None, TYPED])
def test_lines_like_rows_are_swallowed(specs):
    for inner in (1, 2, 24):
        text = "\n".join(
            ['6,Bo,"Oslo,Main 2,ok,0123,a,2025-03-04', *[ROW] * inner, '8,C,"x,y,z,0,a,']
        )
        assert swallowed(text.encode(), WIDE, specs, COMMA, LIMITS)


def test_one_swallowed_line_end_needs_both_lines_to_be_rows():
    both = '6,"Bo,Oslo,Main 2,ok,0123,a,2025-03-04\n7,Ada",Oslo,Main 1,ok,0123,a,2025-03-04'
    assert swallowed(both.encode(), WIDE, TYPED, COMMA, LIMITS)
    one = '6,Bo,Oslo,Main 2,"ok, thanks\nsee a, b, c and d",0123,a,2025-03-04'
    assert swallowed(one.encode(), WIDE, TYPED, COMMA, LIMITS) is None


@pytest.mark.parametrize(
    "note",
    [
        "Dear all,\nthank you\nbye",
        "one, two, three\nfour, five\nsix",
        "a,b,c,d,e,f,g,h\nnot, a, row, but, a, list, of, words\nz",
        "x\n1,2,3\ny",
        "\n\n\n",
    ],
)
def test_honest_texts_pass_in_a_typed_table(note):
    text = f'6,Bo,Oslo,Main 2,"{note}",0123,a,2025-03-04'
    assert swallowed(text.encode(), WIDE, TYPED, COMMA, LIMITS) is None


@pytest.mark.parametrize(
    "note", ["Dear Ann,\nthank you\nAda", "Hello,\nyes, please\nbye", "a\nb, c\nd, e\nf"]
)
def test_honest_letters_pass_in_a_narrow_table_without_types(note):
    assert swallowed(f'6,"{note}"'.encode(), ["id", "note"], None, COMMA, LIMITS) is None


def test_a_narrow_table_needs_many_lines_like_rows():
    lines = '6,"x\n' + "\n".join(f"{n},y" for n in range(8)) + '\n9,z"'
    assert swallowed(lines.encode(), ["id", "note"], None, COMMA, LIMITS)


def test_one_column_has_nothing_to_swallow():
    assert swallowed(b'"a\nb\nc"', ["note"], None, COMMA, LIMITS) is None
    assert swallowed(b'"a\nb\nc"', ["note"], None, COMMA, Limits(max_lines_per_row=2))
