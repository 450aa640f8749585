"""The user's own language model, spaCy or GLiNER, which finds names of persons and places.

It is loaded from a folder or an installed spaCy package, never from the network. A model that
cannot be loaded, or that finds neither persons nor places, is an error (ASSAY-K003); a text that it
cannot read is unscanned. Placeholders that Assay wrote are not names.
Cost: the model's own, 0.1 to 50 ms per text; once for each unique text that holds a letter.
Blind to: what the model does not know. A text has no timeout; `max_chars` bounds it.
"""

import functools
import importlib.metadata
import importlib.util
import os
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from checks.pii.hits import Hit, UnscannedError
from provenance.base.errors import AssayError

# the models' labels, and our types for them
LABELS = {
    "PERSON": "PERSON",
    "PER": "PERSON",
    "PERS": "PERSON",
    "PRS": "PERSON",
    "GPE": "LOCATION",
    "LOC": "LOCATION",
    "LOCATION": "LOCATION",
    "FAC": "LOCATION",
    "PLACE": "LOCATION",
    "ADDRESS": "ADDRESS",
    "STREET_ADDRESS": "ADDRESS",
}
ASKED = ("person", "location", "address")  # labels for a model that accepts any
SURE = 0.85  # Presidio's score for hits of a model that gives none
BATCH = 64
_WINDOW, _OVERLAP = 120, 30  # words and signs
_TOKEN = re.compile(r"\w{1,40}|[^\w\s]")
_WHERE = "assay.checks.pii.model"
_FIX = "name the folder of a spaCy or GLiNER model, e.g. ./people, or an installed spaCy package"
Results = list[list[Hit] | UnscannedError]


class Reader(Protocol):
    """A loaded model.

    Attributes:
        types: what it finds, sorted: ADDRESS, LOCATION, PERSON.
    """

    types: tuple[str, ...]

    def read(self, texts: list[str], least: float) -> Iterator[list[Hit]]:
        """Yield the hits of each text whose score is at least `least`, in order."""
        ...


def load(model: str) -> Reader:
    """Return a model, loaded once per process.

    Args:
        model: path of a folder, or name of an installed spaCy package.

    Raises:
        AssayError: ASSAY-K003 if it cannot be loaded, or finds neither persons nor places.
    """
    made = _loaded(model)
    if isinstance(made, AssayError):
        raise made
    return made


@functools.lru_cache(maxsize=2)
def _loaded(model: str) -> Reader | AssayError:
    try:
        kind = _kind_of(model)
        made = kind(model)
    except AssayError as error:
        return error
    except Exception as error:  # noqa: BLE001 - a model's own code may raise anything
        return _unusable(f"it cannot be loaded ({type(error).__name__})")
    return made if made.types else _unusable("it finds neither persons nor places")


def _kind_of(model: str) -> Callable[[str], Reader]:
    if os.sep not in model:
        known = importlib.metadata.entry_points(group="spacy_models").names
        # only a registered pipeline: a contract must not import arbitrary packages
        if model.replace("-", "_") not in known:
            raise _unusable("no spaCy pipeline with that name is installed")
        return Spacy
    folder = Path(model)
    if (folder / "gliner_config.json").is_file():
        if importlib.util.find_spec("gliner") is None:
            fix = "install Assay with the extra `ner`: assay[ner]"
            raise _unusable("it is a GLiNER model, and gliner is not installed", fix)
        return Gliner
    if (folder / "config.cfg").is_file() and (folder / "meta.json").is_file():
        return Spacy
    what = "the folder does not exist" if not folder.is_dir() else "the folder holds no model"
    raise _unusable(what)


def _unusable(why: str, fix: str = _FIX) -> AssayError:
    return AssayError("K003", f"the language model is not usable: {why}", where=_WHERE, fix=fix)


class Spacy:
    """A spaCy pipeline: its named entities, whichever component finds them."""

    def __init__(self, model: str) -> None:
        """Load the pipeline without the components that names do not need."""
        import spacy

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about versions: a pipeline that loads is usable
            name = model if os.sep in model else model.replace("-", "_")
            self.pipeline = spacy.load(name, exclude=["parser", "lemmatizer", "textcat"])
        labels = {label for some in self.pipeline.pipe_labels.values() for label in some}
        self.types = tuple(sorted({LABELS[x.upper()] for x in labels if x.upper() in LABELS}))

    def read(self, texts: list[str], least: float) -> Iterator[list[Hit]]:
        """Yield the hits of each text; all have one score."""
        if least > SURE:
            yield from ([] for _ in texts)
            return
        for made in self.pipeline.pipe(texts, batch_size=BATCH):
            found = [(e, LABELS.get(e.label_.upper())) for e in made.ents]
            yield [Hit(e.start_char, e.end_char, kind, SURE) for e, kind in found if kind]


class Gliner:
    """A GLiNER model, which takes labels in plain words."""

    def __init__(self, model: str) -> None:
        """Load the weights; the library is kept off the network."""
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
            os.environ[name] = "1"
        library: Any = importlib.import_module("gliner")
        self.model = library.GLiNER.from_pretrained(model, local_files_only=True)
        self.types = tuple(sorted({LABELS[label.upper()] for label in ASKED}))

    def read(self, texts: list[str], least: float) -> Iterator[list[Hit]]:
        """Yield the hits of each text, with the model's scores."""
        for text in texts:
            yield sorted(
                {hit for start, end in windows(text) for hit in self._in(text, start, end, least)}
            )

    def _in(self, text: str, start: int, end: int, least: float) -> Iterator[Hit]:
        for e in self.model.predict_entities(text[start:end], list(ASKED), threshold=least):
            kind, score = LABELS[e["label"].upper()], round(float(e["score"]), 6)
            yield Hit(start + e["start"], start + e["end"], kind, score)


def windows(text: str) -> Iterator[tuple[int, int]]:
    """Yield overlapping spans of a few words: GLiNER silently truncates longer texts."""
    spans = [match.span() for match in _TOKEN.finditer(text)]
    for first in range(0, max(len(spans) - _OVERLAP, 1), _WINDOW - _OVERLAP):
        part = spans[first : first + _WINDOW]
        if part:
            yield part[0][0], part[-1][1]


def hits(texts: pa.Array, model: str, least: float) -> dict[int, list[Hit] | UnscannedError]:
    """Return the names in each text, by position.

    Args:
        texts: strings without nulls, shape (n,).
        model: see `load`.
        least: lowest score of a hit, in [0, 1].
    """
    lettered = pc.match_substring_regex(texts, r"\p{L}")
    places = [at for at, is_one in enumerate(lettered.to_pylist()) if is_one]
    try:
        reader = load(model)
    except AssayError as error:
        return dict.fromkeys(places, UnscannedError(error.what))
    found: dict[int, list[Hit] | UnscannedError] = {}
    for start in range(0, len(places), BATCH):
        part = places[start : start + BATCH]
        read = _read(reader, [texts[at].as_py() for at in part], least)
        found |= {at: some for at, some in zip(part, read, strict=True) if some != []}
    return found


def _read(reader: Reader, texts: list[str], least: float) -> Results:
    """Return the hits in each text; a text that the model cannot read affects no other."""
    try:
        return [*reader.read(texts, least)]
    except Exception as error:  # noqa: BLE001 - whatever it is, the text was not read
        if len(texts) == 1:
            return [UnscannedError(f"the language model raised {type(error).__name__}")]
    return [one for text in texts for one in _read(reader, [text], least)]
