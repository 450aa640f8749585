"""Presidio's patterns, searched in a time that grows with the text and not with its square.

Presidio logs a pattern that runs out of time and goes on; here no pattern has a clock. All but two
repeat a bounded number of times. The pattern of e-mail addresses starts anew at each word of a long
run, so its matches are put together from the parts around each at sign. The pattern of URLs tries
up to 253 starts for each dot, so its steps are counted beforehand, and too many raise.
"""

import importlib
from collections.abc import Iterator
from typing import Any

FLAGS = 26  # DOTALL | MULTILINE | IGNORECASE, which Presidio's default registry gives to all

_ONE, _ANY = r"[!#$%&'*+\-/=?^_`{|}~\w]", r"[!#$%&'*+\-/=?^_`{|}~\.\w]"
_DOMAIN = r"[@]\w+(?:-+\w+)*(?:\.\w+(?:-+\w+)*)+"
EMAIL = rf"\b((({_ONE})|({_ONE}{_ANY}{{0,}}{_ONE})){_DOMAIN})\b"
_LABEL = 253  # characters of a domain, by the pattern of URLs


class Bounded:
    """A compiled pattern without a limit of time, as its work is bounded by the text's length."""

    def __init__(self, pattern: Any) -> None:
        """Take the pattern, compiled by the regex module."""
        self._pattern = pattern

    def finditer(self, text: str, timeout: float | None = None) -> Iterator[Any]:  # noqa: ARG002
        """Yield the matches; Presidio's limit of time is not heeded, as it would pass over text."""
        yield from self._pattern.finditer(text)


class Emails:
    """The matches of `EMAIL`, found at sign by sign."""

    def __init__(self) -> None:
        """Compile the parts of the pattern."""
        regex: Any = importlib.import_module("regex")
        self._run = regex.compile(f"{_ANY}+", FLAGS)
        self._start = regex.compile(rf"\b{_ONE}", FLAGS)
        self._whole = regex.compile(EMAIL, FLAGS)
        self._domain = regex.compile(rf"{_DOMAIN}\b", FLAGS)

    def finditer(self, text: str, timeout: float | None = None) -> Iterator[Any]:  # noqa: ARG002
        """Yield the matches: before an at sign from the first start of the run that leads to it."""
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
    """A pattern of URLs whose steps are counted before it is searched for."""

    def __init__(self, pattern: Any, steps: int, unscanned: Exception) -> None:
        """Take the compiled pattern, and what to raise beyond `steps` a text."""
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
