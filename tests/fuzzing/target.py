"""A target of fuzzing: what is fed with bytes, and the law that holds for whatever they are.

Any bytes give a value or an AssayError with a known code: never another exception, a hang, memory
beyond a limit, or anything left behind.
"""

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path

from fuzzing.mutation import mutated

HEAD = 4  # bytes of a case that choose how the others are read


class LawBrokenError(Exception):
    """What a target did is not what it owes."""


@dataclasses.dataclass(frozen=True)
class Target:
    """What is fed.

    Attributes:
        name: on the command line.
        seeds: makes the cases to begin with; gets a folder that it may fill and must not clear.
        run: takes a case and an empty folder; returns in a few words what came of it, and raises
            AssayError where the case is refused. A case that comes to something new is kept and
            changed further.
        words: that mean something in the format.
        change: changes a case; by default any of its bytes.
        has_head: whether the first HEAD bytes choose how the others are read.
        share: of the time, beside the others.
        contained: where the product does this in a child of its own, since a library may crash over
            it: reads a case in that child, and returns the code that comes of it, or None.
    """

    name: str
    seeds: Callable[[Path], list[bytes]]
    run: Callable[[bytes, Path], str]
    words: tuple[bytes, ...] = ()
    change: Callable[[random.Random, bytes, bytes], bytes] | None = None
    has_head: bool = False
    share: float = 1.0
    contained: Callable[[bytes, Path], str | None] | None = None

    def changed(self, draw: random.Random, data: bytes, other: bytes) -> bytes:
        """Return a case made of another one, and of parts of a third."""
        if not self.has_head:
            return self._bent(draw, data, other)
        head, body = bytearray(data[:HEAD].ljust(HEAD, b"\0")), data[HEAD:]
        if draw.random() < 0.3:
            head[draw.randrange(HEAD)] = draw.randrange(256)
        return bytes(head) + self._bent(draw, body, other[HEAD:])

    def _bent(self, draw: random.Random, data: bytes, other: bytes) -> bytes:
        if self.change and draw.random() < 0.5:
            return self.change(draw, data, other)
        return mutated(draw, data, self.words, other)


def require(holds: object, what: str) -> None:
    """Raise LawBrokenError unless something holds."""
    if not holds:
        raise LawBrokenError(what)
