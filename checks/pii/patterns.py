"""Presidio's patterns, searched in time linear, not quadratic, in the length of the text.

Presidio logs a pattern that times out and continues; here no pattern has a timeout. All but two
repeat a bounded number of times. The email pattern starts anew at each word of a long run, so its
matches are assembled from the parts around each at sign. The URL pattern tries up to 253 starts for
each dot, so its steps are counted in advance, and too many raise.
"""

import importlib
from collections.abc import Iterator
from typing import Any

FLAGS = 26  # DOTALL | MULTILINE | IGNORECASE, which Presidio's default registry sets for all

_ONE, _ANY = r"[!#$%&'*+\-/=?^_`{|}~\w]", r"[!#$%&'*+\-/=?^_`{|}~\.\w]"
_DOMAIN = r"[@]\w+(?:-+\w+)*(?:\.\w+(?:-+\w+)*)+"
EMAIL = rf"\b((({_ONE})|({_ONE}{_ANY}{{0,}}{_ONE})){_DOMAIN})\b"
_LABEL = 253  # characters of a domain in the URL pattern


class Bounded:
    """A compiled pattern without a timeout, since the text's length bounds its work."""

    def __init__(self, pattern: Any) -> None:
        """Wrap a pattern compiled by the regex module."""
        self._pattern = pattern

    def finditer(self, text: str, timeout: float | None = None) -> Iterator[Any]:  # noqa: ARG002
        """Yield the matches; Presidio's timeout is ignored, since it would skip text."""
        yield from self._pattern.finditer(text)


class Emails:
    """The matches of `EMAIL`, found from one at sign to the next."""

    def __init__(self) -> None:
        """Compile the parts of the pattern."""
        regex: Any = importlib.import_module("regex")
        self._run = regex.compile(f"{_ANY}+", FLAGS)
        self._start = regex.compile(rf"\b{_ONE}", FLAGS)
        self._whole = regex.compile(EMAIL, FLAGS)
        self._domain = regex.compile(rf"{_DOMAIN}\b", FLAGS)

    def finditer(self, text: str, timeout: float | None = None) -> Iterator[Any]:  # noqa: ARG002
        """Yield the matches: each starts as early as possible in the run before its at sign."""
        last = 0
        for run in self._run.finditer(text):
            at = run.end()
            if text[at : at + 1] != "@" or text[at - 1] == ".":
                continue
            start = self._start.search(text, max(last, run.start()), at)
            if start is not None and self._domain.match(text, at):
                match = self._whole.match(text, start.start())
                last = match.end()
                yield match


class Urls:
    """A pattern of URLs whose steps are counted before the search."""

    def __init__(self, pattern: Any, steps: int, unscanned: Exception) -> None:
        """Wrap the compiled pattern; `unscanned` is raised beyond `steps` per text."""
        regex: Any = importlib.import_module("regex")
        self._pattern, self._steps, self._unscanned = pattern, steps, unscanned
        self._run = regex.compile(r"[a-z0-9.\-]+", FLAGS)

    def finditer(self, text: str, timeout: float | None = None) -> Iterator[Any]:  # noqa: ARG002
        """Yield the matches."""
        left = self._steps
        for run in self._run.finditer(text):
            left -= run[0].count(".") * min(len(run[0]), _LABEL)
            if left < 0:
                raise self._unscanned
        yield from self._pattern.finditer(text)
