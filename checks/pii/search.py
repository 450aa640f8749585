"""The whole search of texts: patterns, the user's deny list, the user's language model.

Hits of patterns come first; a name that overlaps one is not reported again. A placeholder that
Assay wrote is never a hit, even if a model takes it for a name.
"""

import dataclasses
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import wording
from checks.pii import deny_list, names
from checks.pii.hits import Hit, SpanSet, UnscannedError
from checks.pii.recognizers import CLASSES
from checks.pii.scan import Found, scan
from checks.pii.settings import Settings
from provenance.base.errors import AssayError

_TYPES = (*CLASSES, "SECRET", "UNSCANNED", deny_list.ENTITY, *set(names.LABELS.values()))
PLACEHOLDER = re.compile(rf"<(?:{'|'.join(sorted(_TYPES))})(?::[a-p]{{16}})?>")
# what only a model finds, and the type of its hits
_UNSEARCHED = (
    ("personal names", "PERSON"),
    ("places", "LOCATION"),
    ("dates", "DATE_TIME"),
    ("addresses", "ADDRESS"),
)


def search(texts: pa.Array, column: str, settings: Settings) -> dict[int, Found]:
    """Return what the texts hold, by position; texts that hold nothing are left out.

    Args:
        texts: unique strings without nulls, shape (n,).
        column: name of their column, which is context for weak hits.
        settings: see `Settings`.
    """
    found = scan(texts, column, settings)
    if not (settings.model or settings.denies):
        return found
    long = pc.greater(pc.utf8_length(texts), settings.max_chars).to_numpy(zero_copy_only=False)
    places = np.flatnonzero(~long)
    kept = texts.take(pa.array(places))
    for more in _named(kept, settings):
        for at, hits in more.items():
            place = int(places[at])
            found[place] = _joined(found.get(place, Found()), hits, kept[at].as_py())
    return {at: what for at, what in found.items() if what.hits or what.unscanned}


def _named(texts: pa.Array, settings: Settings) -> list[dict[int, list[Hit] | UnscannedError]]:
    found: list[dict[int, list[Hit] | UnscannedError]] = []
    if settings.denies:
        try:
            listed = _denied(settings)
        except AssayError as error:
            return [dict.fromkeys(range(len(texts)), UnscannedError(error.what))]
        found.append({**deny_list.hits(texts, listed)})
    if settings.model:
        found.append(names.hits(texts, settings.model, settings.model_score))
    return found


def _denied(settings: Settings) -> deny_list.Names:
    return deny_list.names_of(settings.deny, settings.deny_file, settings.deny_file_sha256)


def _joined(before: Found, hits: list[Hit] | UnscannedError, text: str) -> Found:
    if before.unscanned:
        return before
    if isinstance(hits, UnscannedError):
        return dataclasses.replace(before, unscanned=str(hits))
    spans = [(hit.start, hit.end) for hit, _ in before.hits]
    occupied = SpanSet([*spans, *(match.span() for match in PLACEHOLDER.finditer(text))])
    new = []
    # longer names first: a window or a list may hold a part of one too
    for hit in sorted(hits, key=lambda hit: (hit.start - hit.end, hit)):
        if not occupied.overlaps(hit.start, hit.end):
            new.append((hit, "error"))
            occupied.add(hit.start, hit.end)
    return dataclasses.replace(before, hits=tuple(sorted([*before.hits, *new])))


def ready(settings: Settings) -> None:
    """Load the model and the deny list.

    Raises:
        AssayError: ASSAY-K003 if the model or the deny list cannot be used.
    """
    if settings.denies:
        _denied(settings)
    if settings.model:
        names.load(settings.model)


def notes(settings: Settings) -> list[str]:
    """Return sentences on the search for names: what was used, and what was not searched for."""
    made = []
    types = set(settings.entities)
    if settings.model:
        types |= set(names.load(settings.model).types)
        which = ", ".join(sorted(types - set(settings.entities)))
        made.append(f"A language model searched all texts for {which}.")
    if settings.denies:
        names_ = wording.count(len(_denied(settings)), "name")
        made.append(f"All texts were searched for the {names_} on the deny list.")
    left = [word for word, kind in _UNSEARCHED if kind not in types]
    if left:
        why = (
            "the language model does not find them"
            if settings.model
            else "no language model is configured"
        )
        made.append(f"ASSAY-K020: {wording.listed(left)} were not searched for: {why}.")
    return made
