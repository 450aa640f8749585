"""The door of the review page: what a request must have, and what every answer says to a browser.

The page is served to this machine only, but any web site that the same browser shows can send
requests to it. So a request must name this server as its host (a foreign name that resolves to
this machine is refused), and have the cookie of a session; one that may change something must also
come from this server's own pages, and carry the secret that only these pages know.
"""

import hmac
import json
import sys
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.review.sessions import Session, Sessions
from provenance.base.atomic import with_code

SAFE = ("GET", "HEAD")
START = "/start"  # the only page without a session
CSRF = "x-assay-csrf"
MOST_BODY = 64 << 10  # bytes of a request
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
CLOSED = (
    "This page is open only to whoever started it. Use the link that `assay review` printed; "
    "each link works once, and a new one is printed when it is used."
)
Refusal = tuple[int, str]


def cookie_name(port: int) -> str:
    """Return the cookie's name; browsers send a cookie to every port of its host."""
    return f"assay-review-{port}"


class Guard:
    """Middleware that lets only allowed requests through and hardens every answer."""

    def __init__(self, app: ASGIApp, sessions: Sessions, port: int) -> None:
        """Guard an app that is served on a port of this machine."""
        self._app, self._sessions = app, sessions
        self._cookie = cookie_name(port)
        self._hosts = tuple(f"{name}:{port}" for name in ("127.0.0.1", "localhost"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            return  # there are no web sockets here, and nothing to do at the start
        headers = Headers(scope=scope)
        session = self._session(headers)
        refused = self._refused(scope, headers, session)
        hardened = _hardened(send)
        if refused:
            await _refuse(refused, scope["path"], hardened)
            return
        scope.setdefault("state", {})["session"] = session
        try:
            await self._app(scope, receive, hardened)
        except Exception as error:  # noqa: BLE001  it was answered; its text may quote a cell
            sys.stderr.write(f"{with_code(error)}\n")

    def _session(self, headers: Headers) -> Session | None:
        cookies: Mapping[str, str] = cookie_parser(headers.get("cookie", ""))
        return self._sessions.of(cookies.get(self._cookie))

    def _refused(self, scope: Scope, headers: Headers, session: Session | None) -> Refusal | None:
        """Return status and words if a request must not go through."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return 421, "This server does not answer to that host name."
        if scope["path"] == START and scope["method"] in SAFE:
            return None
        if session is None:
            return 401, CLOSED
        return None if scope["method"] in SAFE else _unsafe(headers, hosts[0], session)


def _unsafe(headers: Headers, host: str, session: Session) -> Refusal | None:
    """Return why a request may not change anything, None if it may."""
    if headers.get("origin", "").lower() != f"http://{host.lower()}":
        return 403, "The request does not come from a page of this server."
    if headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return 403, "The request does not come from a page of this server."
    given = headers.get(CSRF, "").encode("utf-8", "surrogateescape")
    if not hmac.compare_digest(given, session.csrf.encode()):
        return 403, "The request lacks the secret of this session; reload the page."
    if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return 415, "The request must be JSON."
    length = headers.get("content-length", "")
    if not length.isascii() or not length.isdigit():
        return 411, "The request must say how long it is."
    return (413, "The request is too long.") if int(length) > MOST_BODY else None


def _hardened(send: Send) -> Send:
    """Return what sends answers with the headers that every answer has."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sent


async def _refuse(refused: Refusal, path: str, send: Send) -> None:
    status, words = refused
    if path.startswith("/api/"):
        kind, body = "application/json", json.dumps({"message": words})
    else:
        kind, body = "text/plain; charset=utf-8", f"{words}\n"
    content = body.encode()
    headers = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
