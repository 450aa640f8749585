"""Reviews in the ledger: the file of decisions that an entry records, and how it is read."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.store import trust
from pipelines.store.opinions import ID, Decision, Needed
from pipelines.store.store import Store
from provenance.ledger import run_files
from provenance.ledger.entry import Entry

LARGE = 1 << 20  # bytes of a file of decisions from which threads are worth their start
SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("decision", pa.string()),
        ("column", pa.string()),  # of `relabel` and `correct`
        ("value", pa.string()),
        ("reason", pa.string()),
        ("reviewer", pa.string()),
        ("row_id", ID),
        ("copy", pa.int64()),  # rows of the same content before this one
        ("key_id", ID),  # of the primary key's values; null if there is none
        ("accused", pa.list_(pa.string())),  # `accusations` at that time
        ("approves", pa.int64()),  # of `approve`: the entry of the decision that it repeats
    ]
)
LATER = frozenset({"approves"})  # columns that the first reviews did not have


def is_review(entry: Entry, dataset: str) -> bool:
    """Return whether an entry records decisions on a dataset."""
    facts = entry.facts
    return bool(facts["kind"] == "review" and facts["dataset"] == dataset)


def recorded_in(
    store: Store, entry: Entry, vouched: trust.Vouching | None = None
) -> Iterator[Decision]:
    """Yield the decisions of a review entry.

    Args:
        store: holds the review.
        entry: of the review.
        vouched: vouches for several entries, by default one of its own.

    Raises:
        AssayError: ASSAY-L011 if the file does not match its record, L004 or L007 if the entry was
            edited.
    """
    facts = (vouched or trust.Vouching(store))(entry).facts
    [recorded] = facts["outputs"]
    content = run_files.read(store.reviews, entry.seq, recorded, what="review")
    file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
    table = file.read(use_threads=len(content) > LARGE)
    if set(SCHEMA.names) - set(table.column_names) - LATER:
        return  # of a version whose decisions were bound to one run; they are no longer in force
    columns = {name: table[name].to_pylist() for name in SCHEMA.names if name in table.column_names}
    identities = zip(columns.pop("row_id"), columns.pop("copy"), strict=True)
    known: dict[tuple[str, ...], frozenset[str]] = {}  # rows of a group share one
    sets = []
    for names in columns.pop("accused"):
        key = tuple(names or ())
        sets.append(known.setdefault(key, frozenset(key)))
    own = {"base": facts["base"], "entry": entry.seq, "time": facts["time"],
           "account": facts.get("account", ""), "needed": Needed.recorded(facts)}  # fmt: skip
    names_of = list(columns)
    for identity, accused, *cells in zip(identities, sets, *columns.values(), strict=True):
        parts = dict(zip(names_of, cells, strict=True))
        yield Decision(**parts, identity=identity, accused=accused, **own)
