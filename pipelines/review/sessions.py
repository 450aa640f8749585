"""Who is in on the review page: one-time tokens of start links, and the sessions of browsers.

A session is known by the digest of its cookie, so that a lookup compares nothing secret in a time
that depends on it. Nothing is stored: all sessions end with the server. Those of users also end
when they are not used for a while, after half a day, and when the user's password changes.
"""

import dataclasses
import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from pipelines.review.roles import OWNER
from pipelines.review.users import User, Users

MOST = 1000  # sessions, and start links not yet used, at one time
MOST_OWN = 10  # sessions of one user; the oldest ends when another begins
IDLE = 30 * 60.0  # seconds without a request
LONGEST = 12 * 3600.0  # seconds


@dataclasses.dataclass(frozen=True, slots=True)
class Session:
    """One browser.

    Attributes:
        cookie: by which it is known.
        csrf: what it must send with everything that changes something.
        name: of the user, or of the account that serves.
        role: one of `roles.ROLES`, as the users file has it at this request.
        way: how it came in: by `link`, `password` or `proxy`.
    """

    cookie: str
    csrf: str
    name: str
    role: str
    way: str


# the session whose request is being answered
visiting: ContextVar[Session] = ContextVar("visiting")


@dataclasses.dataclass(slots=True)
class _Open:
    session: Session
    password: str  # as stored when it began
    began: float
    used: float


class Sessions:
    """The sessions of one server."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without sessions and without links; `clock` tells seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._links: dict[bytes, None] = {}
        self._open: dict[bytes, _Open] = {}

    def link(self) -> str:
        """Return a token that opens one session."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._links[_digest(token)] = None
            _cut(self._links)
        return token

    def start(self, token: str, owner: str) -> Session | None:
        """Open a session of the account that serves; None if the token is used or unknown."""
        with self._lock:
            digest = _digest(token)
            if digest not in self._links:
                return None
            del self._links[digest]
            return self._begin(owner, OWNER, "link")

    def open(self, user: User, way: str) -> Session:
        """Open a session of a user who has shown who they are, always with a new cookie."""
        with self._lock:
            own = [each for each, held in self._open.items() if held.session.name == user.name]
            for each in own[: max(0, len(own) + 1 - MOST_OWN)]:
                del self._open[each]
            return self._begin(user.name, user.role, way, user.password)

    def of(self, cookie: str | None, users: Users | None) -> Session | None:
        """Return the session of a cookie, None if there is none or it has ended.

        Args:
            cookie: as the browser sent it.
            users: as the file has them now, None if only the account that serves may come in.
        """
        if not cookie:
            return None
        with self._lock:
            digest = _digest(cookie)
            held = self._open.get(digest)
            if held is None or users is None:
                return held.session if held else None
            user, now = users.get(held.session.name), self._clock()
            is_over = now - held.used > IDLE or now - held.began > LONGEST
            if is_over or user is None or user.password != held.password:
                del self._open[digest]
                return None
            held.used = now
            return dataclasses.replace(held.session, role=user.role)

    def end(self, cookie: str) -> None:
        """End a session."""
        with self._lock:
            self._open.pop(_digest(cookie), None)

    def _begin(self, name: str, role: str, way: str, password: str = "") -> Session:
        cookie, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        session, now = Session(cookie, csrf, name, role, way), self._clock()
        self._open[_digest(cookie)] = _Open(session, password, now, now)
        _cut(self._open)
        return session


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def _cut(kept: dict[bytes, Any]) -> None:
    """Forget the oldest of too many."""
    while len(kept) > MOST:
        del kept[next(iter(kept))]
