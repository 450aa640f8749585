"""Who may use the review page: one-time tokens of start links, and the sessions they open.

A session is known by the digest of its cookie, so that a lookup compares nothing secret in a time
that depends on it. Nothing is stored: all sessions end with the server.
"""

import dataclasses
import hashlib
import secrets
import threading
from typing import Any

MOST = 1000  # sessions, and start links not yet used, at one time


@dataclasses.dataclass(frozen=True, slots=True)
class Session:
    """One browser: its cookie, and what it must send with everything that changes something."""

    cookie: str
    csrf: str


class Sessions:
    """The sessions of one server."""

    def __init__(self) -> None:
        """Begin without sessions and without links."""
        self._lock = threading.Lock()
        self._links: dict[bytes, None] = {}
        self._open: dict[bytes, Session] = {}

    def link(self) -> str:
        """Return a token that opens one session."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._links[_digest(token)] = None
            _cut(self._links)
        return token

    def start(self, token: str) -> Session | None:
        """Open a session; None if the token was used before or never made."""
        with self._lock:
            digest = _digest(token)
            if digest not in self._links:
                return None
            del self._links[digest]
            session = Session(secrets.token_urlsafe(32), secrets.token_urlsafe(32))
            self._open[_digest(session.cookie)] = session
            _cut(self._open)
            return session

    def of(self, cookie: str | None) -> Session | None:
        """Return the session of a cookie, None if there is none."""
        return self._open.get(_digest(cookie)) if cookie else None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def _cut(kept: dict[bytes, Any]) -> None:
    """Forget the oldest of too many."""
    while len(kept) > MOST:
        del kept[next(iter(kept))]
