"""What lies in a store's `runs/` and `reviews/` without an entry in the ledger.

A run's folder or a file of decisions past the ledger's end shows that the end was cut off. With the
very next number it may also be what a run left that died before its entry: only a copy of the
ledger kept elsewhere can tell. Anything else that no entry records was put there by someone.
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
from provenance.base.ordinals import ordinal
from provenance.ledger.segments import DIGITS

# entries of these kinds are appended without clearing what a dead run left under their number
_UNCLEARED = ("key", "compact")
_NAME = rf"[0-9]{{{DIGITS}}}"


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """Something in one of the two folders; `is_own` if name and type are those of a run or review.

    `what` is `run` or `review`, by the folder; `number` is None if the name has none.
    """

    what: str
    path: Path
    mode: int
    number: int | None
    is_own: bool


def items(store: Store) -> list[Item]:
    """Return what lies in both folders, by name, without following links.

    Ask before reading the ledger, so that a run committed meanwhile has its entry there.
    """
    runs = _in(store.folder / "runs", "run", re.compile(_NAME), stat.S_IFDIR)
    reviews = _in(store.reviews, "review", re.compile(rf"{_NAME}\.parquet"), stat.S_IFREG)
    return runs + reviews


def last_number(store: Store) -> int:
    """Return the highest number in both folders, -1 if there is none."""
    return max((i.number for i in items(store) if i.number is not None), default=-1)


def faults(
    store: Store, found: list[Item], kinds: Mapping[int, str]
) -> tuple[list[Notice], list[Notice]]:
    """Return breaks, and warnings of what a run that died may have left.

    Args:
        store: its ledger is intact.
        found: what `items` returned.
        kinds: the kinds of the entries read before, by number.
    """
    numbers = store.ledger.numbers()
    end = numbers[-1] if numbers else -1
    ends = f"the ledger ends at entry {end}" if numbers else "the ledger is empty"
    breaks, died = [], []
    for item in found:
        where = str(item.path)
        if item.number is None or not item.is_own:
            breaks.append(_foreign(item))
            continue
        what = f"{item.what} {item.number} has no ledger entry"
        if numbers and item.number == end + 1:
            why = "either it died before it was committed, or the ledger's last entry was cut off"
            what += f": {why}; compare with a checkpoint kept elsewhere (--checkpoint)"
            died.append(Notice("ASSAY-L009", what, where))
        elif item.number > end:
            breaks.append(Notice("ASSAY-L002", f"{what}: {ends}", where))
        else:
            kind = kinds.get(item.number) or store.ledger.unedited(item.number).kind
            if kind in _UNCLEARED:
                died.append(Notice("ASSAY-L009", f"{what}: it died before it was committed", where))
            elif kind not in (RUN_KINDS if item.what == "run" else ("review",)):
                what += f": entry {item.number} is of kind {kind}"
                breaks.append(Notice("ASSAY-L011", what, where))
    return breaks, died


def _in(folder: Path, what: str, name: re.Pattern[str], kind: int) -> list[Item]:
    found = []
    with contextlib.suppress(FileNotFoundError), no_follow.nested(folder) as descriptor:
        for each in sorted(os.listdir(descriptor)):  # noqa: PTH208  by descriptor
            with contextlib.suppress(FileNotFoundError):  # it was removed meanwhile
                mode = os.stat(each, dir_fd=descriptor, follow_symlinks=False).st_mode
                is_own = stat.S_IFMT(mode) == kind and name.fullmatch(each) is not None
                path = folder / each
                found.append(Item(what, path, mode, ordinal(path.stem), is_own))
    return found


def _foreign(item: Item) -> Notice:
    kind = no_follow.kind_of(item.mode)
    what = f"{item.path.name} in {item.path.parent.name}/ is {kind}, not a {item.what}"
    is_plain = stat.S_ISDIR(item.mode) or stat.S_ISREG(item.mode)
    return Notice("ASSAY-L011" if is_plain else "ASSAY-L013", what, str(item.path))
