"""What makes the imports of Assay's own processes cheap.

Imports without the garbage collector: nothing of what is imported is garbage. Looking for it takes
a tenth of the time, and what is imported stays out of later searches. And libraries that other
libraries import at their own start are postponed until they are used: see docs/developing.md.
"""

import contextlib
import gc

from pipelines import no_pandas
from provenance.base import postponed

TYPE_CHECKING = False  # importing `typing` would add to the time of every command
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

LATER = {
    "sklearn": ("scipy.stats",),
    "cleanlab": ("pandas", "scipy.stats", "sklearn.cluster"),
    "presidio_analyzer": (
        "spacy",
        "presidio_analyzer.analyzer_engine",
        "presidio_analyzer.analyzer_engine_provider",
        "presidio_analyzer.batch_analyzer_engine",
        "presidio_analyzer.lm_recognizer",
        "presidio_analyzer.context_aware_enhancers",
        "presidio_analyzer.nlp_engine",
        "presidio_analyzer.predefined_recognizers",
        "presidio_analyzer.recognizer_registry",
    ),
    "httpx": (),
    "spacy": ("spacy.cli",),
    "numpy": ("numpy.f2py",),  # scipy copies all that numpy has
}
# it looks whether it was given a frame, and goes on without
ABSENT = {"sklearn": ("pandas", "rich.progress"), "httpx": ("httpx._main",)}


# new objects before a look for garbage, and looks at the young before one at the older; of Python's
# own 700, 10 and 10 nearly every look is at findings or imports, and finds nothing
SEARCHED = (50_000, 20, 50)


def postpone() -> None:
    """Postpone what is rarely used, in a process of Assay's own; call this before any import."""
    gc.set_threshold(*SEARCHED)
    no_pandas.install()
    postponed.install(LATER, absent=ABSENT, instead={"scipy.stats.gmean": _gmean})


@contextlib.contextmanager
def collecting_nothing() -> "Iterator[None]":
    """Collect no garbage in this block, which imports; never look at what is there at its end."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _gmean(values: "Any", axis: int) -> "Any":
    """Return the geometric mean as scipy.stats does; each fit of several classes asks for it."""
    import numpy as np

    return np.exp(np.log(values).mean(axis=axis))
