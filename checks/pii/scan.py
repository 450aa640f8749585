"""The columnar scan: gates over unique values, recognizers on candidates, raw and undisguised.

A text is scanned three times: unchanged; folded and joined (invisible characters, look-alikes,
escapes, separated digits); and with base64 and hexadecimal runs decoded. Hits of the second and
third scan are mapped back to the raw text and count only if they are certain, or addresses of a
private network. A text that is too long, or that a recognizer could not finish, is unscanned, which
is an error and never "clean".
Cost: one RE2 pass for most texts, 0.1 to 1 ms for a candidate, linear in its length. The limit
counts steps, not time, so which texts are unscanned depends on the texts alone.
"""

import dataclasses
import functools
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit.text_folding import Aligned
from checks.pii import announced_phones, disguise, judge, phone, prefilters, secrets
from checks.pii.hits import Hit, SpanSet, UnscannedError
from checks.pii.recognizers import analyzer
from checks.pii.settings import Settings


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """What one text holds.

    Attributes:
        hits: (hit, "error" or "warning"), spans in the raw text, in order.
        disguised: whether any hit needed a disguise to be undone.
        unscanned: why the text could not be scanned, or "".
    """

    hits: tuple[tuple[Hit, str], ...] = ()
    disguised: bool = False
    unscanned: str = ""


def scan(texts: pa.Array, column: str, settings: Settings) -> dict[int, Found]:
    """Return what the texts hold, by position; texts that hold nothing are left out.

    Args:
        texts: unique strings without nulls, shape (n,).
        column: name of their column, which is context for weak hits.
        settings: see `Settings`.
    """
    if not len(texts):
        return {}
    long = pc.greater(pc.utf8_length(texts), settings.max_chars).to_numpy(zero_copy_only=False)
    out = {int(at): Found(unscanned="longer than max_chars") for at in np.flatnonzero(long)}
    places = np.flatnonzero(~long)
    kept = texts if not long.any() else texts.take(pa.array(places))
    words = judge.words_of(column)
    decided: dict[int, list[tuple[Hit, str, bool]]] = {}
    for at, hits in raw_hits(kept, column, settings, counting=True).items():
        _decide(int(places[at]), hits, kept[at].as_py(), words, out, decided)
    if "PHONE_NUMBER" in settings.entities:
        _announced(kept, places, out, decided)
    if settings.disguised:
        _disguised(kept, places, column, settings, out, decided)
    for at, found in decided.items():
        if at not in out:
            pairs = tuple(sorted((hit, verdict) for hit, verdict, _ in found))
            out[at] = Found(pairs, disguised=any(hidden for _, _, hidden in found))
    return out


def raw_hits(
    texts: pa.Array, column: str, settings: Settings, *, counting: bool = False
) -> dict[int, list[Hit] | UnscannedError]:
    """Return every hit in the unchanged texts, by position: Presidio's own results, and secrets.

    A text that a recognizer could not finish has the error instead. With `counting`, texts in
    which no telephone number would count, such as most ids, are not searched for one.
    """
    found: dict[int, list[Hit] | UnscannedError] = {}
    context = _context(column, settings)
    words = judge.words_of(column) if counting else None
    for at, entities in sorted(_candidates(texts, context, settings, words).items()):
        # built on the first candidate: a column without any never imports Presidio
        run = analyzer(settings.entities, settings.score, settings.steps)
        try:
            found[at] = run.hits(texts[at].as_py(), entities, context)
        except UnscannedError as error:
            found[at] = error
    if settings.secrets:
        gate = f"{secrets.GATE}|{secrets.RANDOM_GATE}" if settings.entropy else secrets.GATE
        for place in np.flatnonzero(prefilters.matches(texts, gate)):
            already = found.setdefault(int(place), [])
            if isinstance(already, list):
                already += secrets.hits(texts[int(place)].as_py(), random=settings.entropy)
    return {at: hits for at, hits in found.items() if hits != []}


def _candidates(
    texts: pa.Array, context: tuple[str, ...], settings: Settings, words: frozenset[str] | None
) -> dict[int, list[str]]:
    """Return the entities whose gates each text passes, by position.

    With the `words` of the column's name, telephone numbers only where one would count.
    """
    chosen = prefilters.gates(settings.entities, settings.score)
    out: dict[int, list[str]] = {}
    ascii_ = pc.string_is_ascii(texts).to_numpy(zero_copy_only=False)
    heading = " ".join(context)
    for is_ascii in (True, False):
        places = np.flatnonzero(ascii_ == is_ascii)
        part = texts if len(places) == len(texts) else texts.take(pa.array(places))
        first = prefilters.matches(part, prefilters.stage_0(chosen), ascii_only=is_ascii)
        places, part = places[first], part.filter(pa.array(first))
        if not len(part):
            continue
        for gate in chosen:
            helped = bool(gate.words and prefilters.python(gate.words).search(heading))
            passed = prefilters.passed(part, gate, helped=helped, ascii_only=is_ascii)
            if gate.entity == "PHONE_NUMBER" and words is not None and passed.any():
                passed &= ~judge.has_no_phone(part, words)
            for at in places[passed].tolist():
                if gate.entity != "PHONE_NUMBER" or _may_be_called(
                    texts[at].as_py(), settings.steps
                ):
                    out.setdefault(at, []).append(gate.entity)
    return out


def _may_be_called(text: str, steps: int) -> bool:
    # a second gate, in Python: digits are common, but few of them could be a telephone number
    try:
        return bool(phone.Search(text, steps).regions())
    except phone.TooManyStepsError:
        return True


@functools.lru_cache(maxsize=256)
def _context(column: str, settings: Settings) -> tuple[str, ...]:
    # Presidio also accepts context words inside longer ones, so it only gets whole words
    known_ = [g.words for g in prefilters.gates(settings.entities, settings.score) if g.words]
    words = sorted(judge.words_of(column))
    return tuple(w for w in words if any(prefilters.python(k).fullmatch(w) for k in known_))


def _decide(
    at: int,
    hits: list[Hit] | UnscannedError,
    text: str,
    words: frozenset[str],
    out: dict[int, Found],
    decided: dict[int, list[tuple[Hit, str, bool]]],
) -> None:
    if isinstance(hits, UnscannedError):
        out[at] = Found(unscanned=str(hits))
        return
    for hit in judge.without_contained(hits):
        verdict = judge.strength(hit, text, words)
        if verdict is not None:
            decided.setdefault(at, []).append((hit, verdict, False))


def _announced(
    texts: pa.Array,
    places: np.ndarray,
    out: dict[int, Found],
    decided: dict[int, list[tuple[Hit, str, bool]]],
) -> None:
    for at in np.flatnonzero(prefilters.matches(texts, announced_phones.GATE)).tolist():
        owner = int(places[at])
        already = decided.get(owner, [])
        occupied = SpanSet((hit.start, hit.end) for hit, _, _ in already)
        found = announced_phones.hits(texts[at].as_py()) if owner not in out else []
        new = [(hit, "error", False) for hit in found if not occupied.overlaps(hit.start, hit.end)]
        if new:
            decided[owner] = [*already, *new]


def _disguised(
    texts: pa.Array,
    places: np.ndarray,
    column: str,
    settings: Settings,
    out: dict[int, Found],
    decided: dict[int, list[tuple[Hit, str, bool]]],
) -> None:
    owners, variants = [], []
    needs = prefilters.matches(texts, disguise.GATE)
    for at in np.flatnonzero(needs).tolist():
        for variant in disguise.variants(texts[at].as_py()):
            owners.append(int(places[at]))
            variants.append(variant)
    if not variants:
        return
    words = judge.words_of(column)
    flat = pa.array([v.text for v in variants], pa.string())
    found = raw_hits(flat, column, settings, counting=True)
    for at, hits in found.items():
        owner, variant = owners[at], variants[at]
        if isinstance(hits, UnscannedError):
            out[owner] = Found(unscanned=str(hits))
            continue
        already = decided.get(owner, [])
        occupied = SpanSet((hit.start, hit.end) for hit, _, _ in already)
        new = list(_sure(hits, variant, words, occupied))
        if new:
            decided[owner] = [*already, *new]


def _sure(
    hits: list[Hit], variant: Aligned, words: frozenset[str], occupied: SpanSet
) -> Iterator[tuple[Hit, str, bool]]:
    for hit in judge.without_contained(hits):
        start, end = variant.span(hit.start, hit.end)
        raw = dataclasses.replace(hit, start=start, end=end)
        if occupied.overlaps(start, end):
            continue
        verdict = judge.strength(hit, variant.text, words)
        if verdict == "error" or (verdict and hit.entity == "IP_ADDRESS"):
            yield raw, verdict, True


def texts_of(column: pa.ChunkedArray | pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Return a column's unique texts and, for each row, its index among them; -1 for null."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_dictionary(whole.type):
        whole = whole.cast(whole.type.value_type)
    coded = pc.dictionary_encode(pc.cast(whole, pa.string()))
    codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
    return coded.dictionary, codes


def spans(found: Found) -> Iterable[tuple[int, int, str]]:
    """Yield the spans to replace as (start, end, entity), in order and disjoint."""
    last = -1
    for hit, _ in sorted(found.hits, key=lambda pair: (pair[0].start, -pair[0].end)):
        if hit.start >= last:
            yield hit.start, hit.end, hit.entity
            last = hit.end
