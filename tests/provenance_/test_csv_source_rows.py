"""Rows of CSV text: the vectorised cut agrees with a lexer that walks byte by byte."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.readers.csv_rows import find_rows


def walked(text):  # noqa: C901  # a plain walk is the point of it
    """Return rows, their numbers of cells, whether each is broken, and whether a quote is open."""
    rows, cells, broken = [], [], []
    at = start = 0
    count, fault, quoted, cell_start = 1, False, False, True
    while at < len(text):
        char = text[at : at + 1]
        if quoted:
            if char == b'"' and text[at + 1 : at + 2] == b'"':
                at += 1
            elif char == b'"':
                quoted = False
                fault |= text[at + 1 : at + 2] not in (b"", b",", b"\r", b"\n")
        elif char == b'"' and cell_start:
            quoted = True
        elif char in b"\r\n":
            rows.append(text[start:at])
            cells.append(count)
            broken.append(fault)
            at += text[at : at + 2] == b"\r\n"
            start, count, fault = at + 1, 1, False
        elif char == b",":
            count += 1
        cell_start = not quoted and char in b",\r\n"
        at += 1
    if start < len(text):
        rows.append(text[start:])
        cells.append(count)
        broken.append(fault)
    return rows, cells, broken, quoted


def cut(text: bytes, *, is_last: bool = True):
    found = find_rows(text, b",", is_last=is_last)
    ranges = zip(found.starts.tolist(), found.ends.tolist(), strict=True)
    return [text[start:end] for start, end in ranges], found


@given(st.text(alphabet='a,"\n\r', max_size=40).map(str.encode))
def test_agrees_with_a_lexer_that_walks(text):
    rows, cells, broken, is_open = walked(text)
    got, found = cut(text)
    assert got == rows
    assert found.cells.tolist() == cells
    assert found.is_open == is_open
    if not is_open:
        assert found.broken.tolist() == broken
        assert found.used == len(text)


@given(st.text(alphabet='a,"\n\r', max_size=40).map(str.encode), st.data())
def test_any_cut_into_blocks_gives_the_same_rows(text, data):
    whole, _ = cut(text)
    places = data.draw(st.lists(st.integers(0, len(text)), max_size=5).map(sorted))
    pieces = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    rest, got = b"", []
    for number, piece in enumerate(pieces):
        rows, found = cut(rest + piece, is_last=number == len(pieces) - 1)
        got += rows
        rest = (rest + piece)[found.used :]
    assert got == whole


@given(
    st.lists(
        st.lists(st.text(alphabet='ab,"\n\r é', max_size=6), min_size=2, max_size=4), max_size=8
    )
)
def test_what_the_csv_module_writes_comes_back_row_by_row(rows):
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    got, found = cut(text.getvalue().encode())
    assert [next(csv.reader([row.decode()])) for row in got] == rows
    assert not found.broken.any()
    assert not found.is_open


@pytest.mark.parametrize(
    ("text", "lines", "hidden"),
    [
        (b'1,"a\nb",2\n', [2], [0]),
        (b'1,"a,\r\n,b",2\r\n3,4,5\r\n', [2, 1], [2, 0]),
        (b"1,2\n3,4\n", [1, 1], [0, 0]),
    ],
)
def test_counts_lines_and_hidden_delimiters(text, lines, hidden):
    _, found = cut(text)
    assert found.lines.tolist() == lines
    assert found.hidden.tolist() == hidden


def test_a_quote_within_a_cell_eats_nothing():
    got, found = cut(b'1,5" pipe\n2,6"\n3,"7"" pipe"\n')
    assert got == [b'1,5" pipe', b'2,6"', b'3,"7"" pipe"']
    assert found.cells.tolist() == [2, 2, 2]
    assert not found.broken.any()


def test_counts_line_ends_by_kind():
    assert cut(b"a\nb\r\nc\rd\n")[1].line_ends == (2, 1, 1)


def test_a_return_at_the_end_of_a_block_waits_for_its_feed():
    _, found = cut(b"a,b\r", is_last=False)
    assert found.used == 0
    assert np.array_equal(cut(b"a,b\r")[1].ends, [3])
