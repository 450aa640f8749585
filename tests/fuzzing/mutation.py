"""Seeded mutations of bytes: what goes wrong with files, and what somebody would do to them.

Nothing here knows a format but by the words that a target names; numbers, lengths and lines are
changed where they look like such.
"""

import random
from collections.abc import Callable, Sequence

MOST = 1 << 16  # bytes of a case: larger ones are slow and find nothing that small ones do not
_ODD_BYTES = b"\0\x01\x0a\x0d\x09\x22\x27\x2c\x3b\x5c\x7b\x7d\x7f\x80\xc3\xe9\xed\xef\xfe\xff"
_SIZES = (0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 4095, 32767, 32768, 65535, 65536, 1 << 24)
_SIZES += ((1 << 31) - 1, 1 << 31, (1 << 32) - 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
_REPEATS = (2, 3, 8, 50, 400, 3000)
_Op = Callable[[random.Random, bytearray, Sequence[bytes], bytes], None]


def mutated(
    draw: random.Random, data: bytes, words: Sequence[bytes] = (), other: bytes = b""
) -> bytes:
    """Return the bytes with one or a few changes.

    Args:
        draw: decides everything.
        data: what is changed.
        words: that mean something in the format.
        other: another case, parts of which are spliced in.
    """
    made = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 2, 3, 5, 9))):
        draw.choice(_OPS)(draw, made, words, other)
    return bytes(made[:MOST])


def _span(draw: random.Random, made: bytearray) -> tuple[int, int]:
    start = draw.randrange(len(made) + 1)
    longest = draw.choice((1, 2, 4, 16, 100, 1000))
    return start, min(len(made), start + draw.randint(1, longest))


def _flip(draw: random.Random, made: bytearray, _: Sequence[bytes], __: bytes) -> None:
    if made:
        made[draw.randrange(len(made))] ^= 1 << draw.randrange(8)


def _set(draw: random.Random, made: bytearray, _: Sequence[bytes], __: bytes) -> None:
    if made:
        made[draw.randrange(len(made))] = draw.choice((*_ODD_BYTES, draw.randrange(256)))


def _insert(draw: random.Random, made: bytearray, words: Sequence[bytes], _: bytes) -> None:
    place = draw.randrange(len(made) + 1)
    made[place:place] = draw.choice(words) if words else bytes((draw.choice(_ODD_BYTES),))


def _replace(draw: random.Random, made: bytearray, words: Sequence[bytes], _: bytes) -> None:
    start, end = _span(draw, made)
    made[start:end] = draw.choice(words) if words else draw.randbytes(end - start)


def _swap_word(draw: random.Random, made: bytearray, words: Sequence[bytes], _: bytes) -> None:
    found = [word for word in words if len(word) > 1 and word in made]
    if found:
        word = draw.choice(found)
        places = [n for n in range(len(made)) if made.startswith(word, n)]
        place = draw.choice(places)
        made[place : place + len(word)] = draw.choice(words)


def _delete(draw: random.Random, made: bytearray, _: Sequence[bytes], __: bytes) -> None:
    start, end = _span(draw, made)
    del made[start:end]


def _repeat(draw: random.Random, made: bytearray, _: Sequence[bytes], __: bytes) -> None:
    start, end = _span(draw, made)
    made[start:start] = (made[start:end] * draw.choice(_REPEATS))[:MOST]


def _cut(draw: random.Random, made: bytearray, _: Sequence[bytes], __: bytes) -> None:
    if draw.random() < 0.5:
        del made[draw.randrange(len(made) + 1) :]
    else:
        del made[: draw.randrange(len(made) + 1)]


def _splice(draw: random.Random, made: bytearray, _: Sequence[bytes], other: bytes) -> None:
    start, end = _span(draw, made)
    at = draw.randrange(len(other) + 1)
    made[start:end] = other[at : at + draw.choice((4, 40, 400, 4000))]


def _size(draw: random.Random, made: bytearray, _: Sequence[bytes], __: bytes) -> None:
    """Overwrite what may be a length: fixed width, either order, or a varint."""
    value, width = draw.choice(_SIZES), draw.choice((1, 2, 4, 8))
    place = draw.randrange(len(made) + 1)
    if draw.random() < 0.5:
        raw = (value % (1 << 8 * width)).to_bytes(width, draw.choice(("little", "big")))
        made[place : place + width] = raw
        return
    end = place
    while end < len(made) - 1 and made[end] & 0x80:
        end += 1
    made[place : end + 1] = _varint(value)


def _varint(value: int) -> bytes:
    raw = bytearray()
    while value > 0x7F:
        raw.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*raw, value))


def _add(draw: random.Random, made: bytearray, _: Sequence[bytes], __: bytes) -> None:
    if made:
        place = draw.randrange(len(made))
        made[place] = (made[place] + draw.choice((-2, -1, 1, 2, 16, -16))) % 256


def _digits(draw: random.Random, made: bytearray, _: Sequence[bytes], __: bytes) -> None:
    """Overwrite a number that is written out."""
    places = [n for n, byte in enumerate(made) if 48 <= byte <= 57]
    if places:
        place = end = draw.choice(places)
        while end < len(made) and 48 <= made[end] <= 57:
            end += 1
        made[place:end] = str(draw.choice((*_SIZES, -1, 10**40))).encode()


def _line(draw: random.Random, made: bytearray, _: Sequence[bytes], __: bytes) -> None:
    """Take a line out, double it, or put it elsewhere."""
    lines = bytes(made).split(b"\n")
    place = draw.randrange(len(lines))
    line = lines[place]
    if draw.random() < 0.6:
        del lines[place]
    if draw.random() < 0.7:
        lines.insert(draw.randrange(len(lines) + 1), line)
    made[:] = b"\n".join(lines)


_OPS: tuple[_Op, ...] = (
    *(_flip, _set, _insert, _insert, _replace, _swap_word, _delete, _repeat, _cut),
    *(_splice, _size, _size, _add, _digits, _line),
)
