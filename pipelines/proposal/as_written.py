"""What `init` makes of the way in which a source is written, before it looks at any value.

The text of the snapshot is brought into plain form: numbers with a decimal point and no groups of
digits, no blanks around cells, JSON's true and false as booleans, bytes as text, the values of
partition folders typed, words such as `#N/A` missing. All else in this room then sees plain cells,
and the contract says how a run gets there.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit.wording import count
from pipelines.proposal import deviants, number_forms
from pipelines.proposal.columns import Seen, usual_words
from pipelines.proposal.contract_yaml import Proposal
from pipelines.proposal.deviants import is_rare
from pipelines.proposal.number_forms import Forms
from provenance.readers import partitions
from provenance.readers.csv_dialect import Dialect
from provenance.rows.arrow_bytes import as_text, is_binary, whole
from provenance.rows.cast import absent, cast
from provenance.rows.column_types import ColumnSpec, Logical
from provenance.rows.missing_words import ONLY_MISSING
from provenance.rows.shards import read_shard, write_shard
from provenance.rows.snapshot import Snapshot

_INDEXES = ("Unnamed: 0", "__index_level_0__", "level_0")  # names that pandas gives to an index
_PARTITION: tuple[Logical, ...] = ("integer", "date", "timestamp")

Look = Callable[[Snapshot, frozenset[str]], list[Seen]]


@dataclasses.dataclass(slots=True)
class Written:
    """How a source is written.

    Attributes:
        snapshot: of plain cells; dialect: with the notation of numbers.
        forms: of the numbers of each text column.
        filled: text columns with a value; texts: columns that must stay text.
        numbers: columns whose numbers were brought into plain notation.
        absent: by column, how many cells hold each word that is read as missing.
        padded: text columns in which nearly all cells begin with a blank.
        booleans, binary: columns of JSON booleans, and of bytes that are UTF-8.
        folders: columns that the names of folders give, with their types.
        faults: columns in which words for a missing value are faults.
        index: columns that count or name the rows, as pandas writes them, with what they hold.
    """

    snapshot: Snapshot
    dialect: Dialect
    forms: dict[str, Forms] = dataclasses.field(default_factory=dict)
    filled: set[str] = dataclasses.field(default_factory=set)
    texts: set[str] = dataclasses.field(default_factory=set)
    numbers: set[str] = dataclasses.field(default_factory=set)
    absent: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
    padded: set[str] = dataclasses.field(default_factory=set)
    booleans: set[str] = dataclasses.field(default_factory=set)
    binary: set[str] = dataclasses.field(default_factory=set)
    folders: dict[str, Logical] = dataclasses.field(default_factory=dict)
    faults: set[str] = dataclasses.field(default_factory=set)
    index: dict[str, str] = dataclasses.field(default_factory=dict)


def seen(
    snapshot: Snapshot, dialect: Dialect, look: Look, *, trust: bool = False
) -> tuple[Written, list[Seen]]:
    """Return how a source is written, and what `look` sees in its columns of plain cells.

    With `trust`, no word for a missing value is taken for a fault.
    """
    base = snapshot.sources[0].format.partition(".")[0]
    written = Written(snapshot, dialect)
    _find(written, base)
    _find_notation(written, base)
    written.snapshot = _rewritten(written)
    found = look(written.snapshot, frozenset(written.texts))
    lost = {s.name for s in found if s.name in written.numbers and s.logical == "string"}
    written.numbers -= lost  # not all cells are numbers: then the column is text, as it is written
    written.texts |= lost
    written.faults = set() if trust else _faults(written, found)
    # a number or a date shows it by itself, as with `N/A`: a run holds what is none
    plain = {s.name for s in found if s.name in written.faults and s.logical != "string"}
    for name in plain:
        del written.absent[name]
    if lost or plain:
        written.snapshot = _rewritten(dataclasses.replace(written, snapshot=snapshot))
        found = look(written.snapshot, frozenset(written.texts))
    _find_index(written, found)
    return written, found


def tell(written: Written, proposals: list[Proposal]) -> list[str]:
    """Add to the proposals what was found about their columns; return notes for a person."""
    notes = []
    for proposal in proposals:
        name = proposal.seen.name
        words = written.absent.get(name, {})
        told = _told(written, proposal)
        if name in written.faults:  # told with all other cells that are kept out
            for word, rows in words.items():
                proposal.seen.keep_out(deviants.kind_of(word, proposal.seen.logical), word, rows)
        else:
            told += [_told_of_word(*item) for item in words.items()]
        proposal.comments += [f"check: {text}" for text in told]
        notes += [f"'{name}': {text}" for text in told]
        proposal.seen.missing = tuple(sorted({*proposal.seen.missing, *words}))
        proposal.is_partition = name in written.folders
        if name in written.index:
            proposal.is_index = True
            proposal.roles = ["ignore"]
    return notes


def _faults(written: Written, found: list[Seen]) -> set[str]:
    """Return the columns in which a word for a missing value is a fault.

    As `N/A` among numbers it is one while it is rare, no other cell of its column is missing, and
    the table does not mark missing values by it: then the column is still complete.
    """
    words = {s.name: (written.absent[s.name], s.rows) for s in found if s.name in written.absent}
    others = {
        s.name: s.rows - s.filled - s.held - sum(written.absent.get(s.name, {}).values())
        for s in found
    }
    usual = usual_words(words.values(), has_empty=any(others.values()))
    return {
        name
        for name, (cells, rows) in words.items()
        if not others[name] and usual.isdisjoint(cells) and is_rare(sum(cells.values()), rows)
    }


def _told(written: Written, proposal: Proposal) -> list[str]:
    """Return what a person should know about a column."""
    name, is_text = proposal.seen.name, proposal.seen.logical == "string"
    padded = "its cells begin with a blank; if that is no data, set assay.csv.trim"
    facts = {
        padded: is_text and name in written.padded,
        "bytes that are UTF-8 in every row, read as text": name in written.binary,
        "its values are the names of folders": name in written.folders,
        f"ignored: {written.index.get(name)}": name in written.index,
        "the column's name has blanks around it": name != name.strip(),
    }
    return [
        *_told_of_numbers(written, name, is_text=is_text),
        *(what for what, holds in facts.items() if holds),
    ]


def _told_of_numbers(written: Written, name: str, *, is_text: bool) -> list[str]:
    forms = written.forms.get(name)
    if forms is None:
        return []
    doubt = number_forms.doubt(forms, written.dialect) if is_text else None
    reading = number_forms.ambiguity(forms) if name in written.numbers else None
    return [what for what in (doubt, reading) if what]


def _told_of_word(word: str, cells: int) -> str:
    verb = "holds" if cells == 1 else "hold"
    return f"{count(cells, 'cell')} {verb} {word}, which is read as missing"


def _find(written: Written, base: str) -> None:
    """Look at all cells once."""
    folders = partitions.of(written.snapshot.sources[0].name)
    fits = {name: list(_PARTITION) for name in folders}
    others: set[str] = set()  # columns that are no booleans
    for ref in written.snapshot.shards:
        table = read_shard(ref).table
        for name in table.column_names:
            column = whole(table[name])
            if is_binary(column.type):
                (written.binary if _is_utf8(column) else others).add(name)
            if not pa.types.is_string(column.type):
                continue
            filled = column.drop_null()
            if name in fits:
                fits[name] = [kind for kind in fits[name] if _is_all(filled, kind)]
            if not pc.all(pc.is_in(filled, _BOOLEANS)).as_py():
                others.add(name)
            written.filled |= {name} if len(filled) else set()
            _count_absent(written, name, filled)
            if base in ("csv", "tsv"):
                _see_numbers(written, name, filled)
    written.folders = {n: (kinds or ["string"])[0] for n, kinds in fits.items()}
    written.binary -= others
    written.booleans = written.filled - others if base in ("json", "jsonl") else set()


_BOOLEANS = pa.array(["true", "false"])


def _is_all(cells: pa.Array, kind: Logical) -> bool:
    _, codes = cast(cells, ColumnSpec("", kind))
    return bool(codes.null_count == len(codes))


def _is_utf8(column: pa.Array) -> bool:
    try:
        as_text(column).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _count_absent(written: Written, name: str, cells: pa.Array) -> None:
    hits = cells.filter(pc.is_in(cells, pa.array(sorted(ONLY_MISSING))))
    for item in hits.value_counts().to_pylist():
        words = written.absent.setdefault(name, {})
        words[item["values"]] = words.get(item["values"], 0) + item["counts"]


def _see_numbers(written: Written, name: str, cells: pa.Array) -> None:
    if written.dialect.trim:
        cells = _trimmed(cells)
    elif len(cells) and pc.mean(pc.starts_with(cells, " ")).as_py() >= number_forms.SHARE:
        written.padded.add(name)
    written.forms.setdefault(name, Forms()).see(cells)


def _trimmed(cells: pa.Array) -> pa.Array:
    return pc.utf8_trim(cells, " \t")


def _find_notation(written: Written, base: str) -> None:
    """Find the notation of numbers, which columns follow it, and which are left as text."""
    if base not in ("csv", "tsv"):
        return
    decimal, thousands = number_forms.notation(written.forms)
    written.dialect = dataclasses.replace(written.dialect, decimal=decimal, thousands=thousands)
    if (decimal, thousands) == (".", ""):
        return
    numeric = [name for name, forms in written.forms.items() if forms.is_numeric]
    shares = _fitting(written, numeric)
    written.numbers = {name for name in numeric if shares[name] >= number_forms.SHARE}
    written.texts = set(numeric) - written.numbers


def _fitting(written: Written, names: list[str]) -> dict[str, float]:
    """Return the share of each column's cells that are numbers in the file's notation."""
    cells, fitting = Counter[str](), Counter[str]()
    for ref in written.snapshot.shards:
        table = read_shard(ref, names).table
        for name in names:
            filled = _plain_cells(written, name, whole(table[name])).drop_null()
            fitting[name] += number_forms.plain(filled, written.dialect)[1]
            cells[name] += len(filled)
    return {name: fitting[name] / cells[name] if cells[name] else 0.0 for name in names}


def _plain_cells(written: Written, name: str, column: pa.Array) -> pa.Array:
    """Return a text column without blanks around cells, and without words for missing values."""
    words = tuple(written.absent.get(name, ()))
    return absent(column, ColumnSpec(name, missing=words, trim=written.dialect.trim))


def _rewritten(written: Written) -> Snapshot:
    """Return the snapshot with plain cells; the same one if its cells are plain already."""
    folders = [name for name, kind in written.folders.items() if kind != "string"]
    changed = (written.numbers, written.absent, written.booleans, written.binary, folders)
    if not written.dialect.trim and not any(changed):
        return written.snapshot
    refs = []
    before = len(list(Path(written.snapshot.folder).glob("plain-*")))
    folder = Path(written.snapshot.folder) / f"plain-{before}"
    folder.mkdir()
    for ref in written.snapshot.shards:
        shard = read_shard(ref)
        columns = [
            _rewritten_column(written, name, whole(shard.table[name]))
            for name in shard.table.column_names
        ]
        table = pa.table(columns, names=shard.table.column_names)
        refs.append(write_shard(folder, dataclasses.replace(shard, table=table)))
    return dataclasses.replace(written.snapshot, shards=tuple(refs))


def _rewritten_column(written: Written, name: str, column: pa.Array) -> pa.Array:
    if name in written.binary:
        return as_text(column)
    if not pa.types.is_string(column.type):
        return column
    column = _plain_cells(written, name, column)
    if name in written.numbers:
        return number_forms.plain(column, written.dialect)[0]
    kind = "boolean" if name in written.booleans else written.folders.get(name, "string")
    return cast(column, ColumnSpec(name, kind))[0]


def _find_index(written: Written, found: list[Seen]) -> None:
    """Find the columns that pandas writes for a frame's index: whole numbers that all differ."""
    for seen_ in found:
        name = seen_.name
        is_named = name in _INDEXES or name.startswith("Unnamed: 0.")
        if not (is_named or (name == written.dialect.index and name)):
            continue
        if seen_.logical not in ("integer", "number") or seen_.filled != seen_.rows:
            continue
        rows = _numbers(written.snapshot, name)
        if len(np.unique(rows)) == len(rows):
            is_counted = len(rows) and np.array_equal(rows, rows[0] + np.arange(len(rows)))
            kind = "counts the rows" if is_counted and rows[0] in (0, 1) else "numbers the rows"
            written.index[name] = f"a row index, which {kind}, as pandas writes it"


def _numbers(snapshot: Snapshot, name: str) -> np.ndarray:
    parts = []
    for ref in snapshot.shards:
        column = read_shard(ref, [name]).table[name].cast(pa.int64(), safe=False)
        parts.append(column.to_numpy())
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)
