"""What lies in a store's `runs/` and `reviews/` and is of no entry of the ledger.

A run's folder or a file of decisions beyond the ledger's end says that the end was cut off. The
very next number may be that, or what a run left behind that died before its entry: only a copy of
the ledger can tell them apart. Anything else that nobody recorded was put there.
"""

import contextlib
import dataclasses
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from pipelines.store.store import RUN_KINDS, Store
from provenance.base import no_follow
from provenance.base.errors import Notice
from provenance.ledger.segments import DIGITS

# an entry of these kinds is appended without a look at what a dead run left under its number
_UNSWEPT = ("key", "compact")


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """A folder of the store, and what belongs in it."""

    folder: Path
    what: str
    name: re.Pattern[str]
    is_of_folders: bool
    kinds: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Placed:
    """Something in such a folder: its number there, None if its name or kind is no run's."""

    place: _Place
    path: Path
    mode: int
    number: int | None


def placed(store: Store) -> list[Placed]:
    """Return what lies there, in order, following nothing.

    To be asked before the ledger is read, so that a run committed meanwhile has its entry there.
    """
    digits = rf"([0-9]{{{DIGITS}}})"
    places = (
        _Place(store.folder / "runs", "run", re.compile(digits), is_of_folders=True,
               kinds=RUN_KINDS),
        _Place(store.reviews, "review", re.compile(rf"{digits}\.parquet"), is_of_folders=False,
               kinds=("review",)),
    )  # fmt: skip
    return [item for place in places for item in _in(place)]


def faults(
    store: Store, found: list[Placed], kinds: Mapping[int, str]
) -> tuple[list[Notice], list[Notice]]:
    """Return breaks, and warnings of what a run that died may have left.

    Args:
        store: whose ledger holds.
        found: what `placed` returned.
        kinds: of the entries that were read before, by number.
    """
    numbers = store.ledger.numbers()
    end = numbers[-1] if numbers else -1
    told = f"the ledger ends at {end}" if numbers else "the ledger is empty"
    breaks, died = [], []
    for item in found:
        where = str(item.path)
        if item.number is None:
            breaks.append(_stranger(item))
            continue
        what = f"{item.place.what} {item.number} has no entry"
        if numbers and item.number == end + 1:
            why = "it died before it was committed, or the ledger's last entry was cut off"
            what += f": {why}; compare with a checkpoint kept elsewhere (--checkpoint)"
            died.append(Notice("ASSAY-L009", what, where))
        elif item.number > end:
            breaks.append(Notice("ASSAY-L002", f"{what}, {told}", where))
        else:
            kind = kinds.get(item.number) or store.ledger.unedited(item.number).kind
            if kind in _UNSWEPT:
                died.append(Notice("ASSAY-L009", f"{what}: it died before it was committed", where))
            elif kind not in item.place.kinds:
                breaks.append(Notice("ASSAY-L011", f"{what}, the entry is of kind {kind}", where))
    return breaks, died


def _in(place: _Place) -> list[Placed]:
    found = []
    with contextlib.suppress(FileNotFoundError), no_follow.nested(place.folder) as descriptor:
        for name in sorted(os.listdir(descriptor)):  # noqa: PTH208  by descriptor
            with contextlib.suppress(FileNotFoundError):  # it went meanwhile
                mode = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
                is_right = stat.S_ISDIR(mode) if place.is_of_folders else stat.S_ISREG(mode)
                match = place.name.fullmatch(name) if is_right else None
                number = int(match[1]) if match else None
                found.append(Placed(place, place.folder / name, mode, number))
    return found


def _stranger(item: Placed) -> Notice:
    kind = no_follow.kind_of(item.mode)
    what = f"{item.path.name} in {item.place.folder.name}/ is {kind}, not a {item.place.what}"
    is_plain = stat.S_ISDIR(item.mode) or stat.S_ISREG(item.mode)
    return Notice("ASSAY-L011" if is_plain else "ASSAY-L013", what, str(item.path))
