"""The turns of conversations: who speaks, what, in which order, and how much."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import hashing
from provenance.rows.arrow_bytes import whole
from provenance.rows.nested import as_list, is_text, sizes

SYSTEM, USER, ASSISTANT, TOOL = range(4)
KNOWN = {
    "system": SYSTEM, "developer": SYSTEM,
    "user": USER, "human": USER,
    "assistant": ASSISTANT, "gpt": ASSISTANT, "model": ASSISTANT, "bot": ASSISTANT,
    "tool": TOOL, "function": TOOL, "observation": TOOL, "ipython": TOOL,
}  # fmt: skip
STEPS = 4  # bins of an octave of lengths


@dataclasses.dataclass(frozen=True)
class Turns:
    """The messages of a column; arrays of turns have shape (m,), those of rows (n,).

    Attributes:
        owners: int64, the row of each turn; kinds: int64, see KNOWN, -1 for unknown; said: the
            texts, or another type where turns have parts; is_empty: of each turn; sizes: int64,
            turns of each row; is_there: whether a row's list is not null; prompts: uint64, hash of
            each row's system prompt, 0 for none; lengths: int64, characters of each row.
    """

    owners: np.ndarray
    kinds: np.ndarray
    said: pa.Array
    is_empty: np.ndarray
    sizes: np.ndarray
    is_there: np.ndarray
    prompts: np.ndarray
    lengths: np.ndarray


def turns_of(column: pa.ChunkedArray, speaker: str, text: str) -> Turns:
    """Return the messages of a column."""
    cells = as_list(whole(column))
    counts, items = sizes(cells), cells.flatten()
    owners = np.repeat(np.arange(len(cells), dtype=np.int64), counts)
    parts = {field.name: part for field, part in zip(items.type, items.flatten(), strict=True)}
    names = pa.array(list(KNOWN))
    place = pc.fill_null(pc.index_in(parts[speaker].cast(pa.string()), names), -1)
    codes = np.array([*KNOWN.values(), -1])
    kinds = codes[place.to_numpy(zero_copy_only=False)]
    said = parts[text]
    if is_text(said.type):
        said = said.cast(pa.string())
        letters = pc.fill_null(pc.utf8_length(pc.utf8_trim_whitespace(said)), 0)
    else:  # parts of other kinds, such as images
        is_there = pc.and_kleene(said.is_valid(), pa.array(_has_items(said)))
        letters = is_there.cast(pa.int64())
    size = letters.to_numpy(zero_copy_only=False).astype(np.int64)
    is_empty = (size == 0) & ~_calls(parts)
    prompts = np.zeros(len(cells), np.uint64)
    is_first = np.r_[True, owners[1:] != owners[:-1]] if len(owners) else np.zeros(0, bool)
    at = is_first & (kinds == SYSTEM)
    prompts[owners[at]] = hashing.value_hashes(said.filter(pa.array(at))) | np.uint64(1)
    lengths = np.bincount(owners, weights=size, minlength=len(cells)).astype(np.int64)
    is_valid = np.asarray(cells.is_valid())
    return Turns(owners, kinds, said, is_empty, counts, is_valid, prompts, lengths)


def faults(turns: Turns) -> dict[str, np.ndarray]:
    """Return by rule the rows with such a fault: bool, shape (n,)."""
    owners, kinds = turns.owners, turns.kinds
    is_next = np.r_[False, owners[1:] == owners[:-1]] if len(owners) else np.zeros(0, bool)
    before = np.r_[-1, kinds[:-1]] if len(kinds) else kinds
    is_last = np.r_[~is_next[1:], True] if len(owners) else is_next
    again = is_next & (kinds == before) & np.isin(kinds, (USER, ASSISTANT))
    starts = (kinds == ASSISTANT) & (~is_next | (before == SYSTEM))
    late = is_next & (kinds == SYSTEM) & (before != SYSTEM)
    empty = _rows_of(turns, turns.is_empty) | (turns.is_there & (turns.sizes == 0))
    return {
        "messages.empty": empty,
        "messages.role": _rows_of(turns, kinds == -1),
        "messages.order": _rows_of(turns, again | starts | late),
        "messages.unanswered": _rows_of(turns, is_last & (kinds != ASSISTANT)),
    }


def bins(turns: Turns) -> np.ndarray:
    """Return the bin of each row's length: int64, shape (n,), STEPS to an octave."""
    binned: np.ndarray = np.floor(STEPS * np.log2(turns.lengths + 1)).astype(np.int64)
    return binned


def _rows_of(turns: Turns, mask: np.ndarray) -> np.ndarray:
    found = np.zeros(len(turns.sizes), bool)
    found[turns.owners[mask]] = True
    return found


def _has_items(values: pa.Array) -> np.ndarray:
    is_listed = pa.types.is_list(values.type) or pa.types.is_large_list(values.type)
    return sizes(values) > 0 if is_listed else np.ones(len(values), bool)


def _calls(parts: dict[str, pa.Array]) -> np.ndarray:
    """Return which turns call a tool and may therefore say nothing."""
    known = [parts[name] for name in ("tool_calls", "function_call") if name in parts]
    length = len(next(iter(parts.values())))
    found = np.zeros(length, bool)
    for part in known:
        found |= np.asarray(part.is_valid()) & _has_items(part)
    return found
