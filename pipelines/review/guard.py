"""The door of the review page: what a request must have, and what every answer says to a browser.

Any web site that a reviewer's browser shows can send requests to this server, and so can whoever
reaches its port. So a request must name this server as its host, ask for something that
`roles.ROUTES` lists, and have the cookie of a session whose role may do it; one that may change
something must also come from this server's own pages, and carry the secret that only they know.
"""

import dataclasses
import hmac
import json
import sys
from collections.abc import Callable, Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl, quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.review import roles
from pipelines.review.sessions import Session, Sessions, visiting
from pipelines.review.threshold import YEAR, RefusedError, Threshold
from pipelines.review.users import Users
from provenance.base.atomic import with_code
from provenance.base.errors import AssayError

SAFE = ("GET", "HEAD")
NO_PAGES = ("/api/", "/static/")
START = "/start"  # the page that swaps a link's token for a session
LOGIN = "/login"
CSRF = "x-assay-csrf"
MOST_BODY = 64 << 10  # bytes of a request, which are at most so many digits
DIGITS = 9
FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 8  # of a form
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # with `no-referrer`, browsers would send no origin with a form
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
CLOSED = (
    "This page is open only to whoever started it. Use the link that `assay review` printed; "
    "each link works once, and a new one is printed when it is used."
)
FOREIGN = "The request does not come from a page of this server."
_TABLE = [
    (method, compile_path(path)[0], path, power) for (method, path), power in roles.ROUTES.items()
]
Page = Callable[[Mapping[str, str]], str]


@dataclasses.dataclass(frozen=True, slots=True)
class _Visit:
    """A request that may go through.

    Attributes:
        session: None only for what is open to everybody.
        is_new: whether its browser has yet to get the session's cookie.
        form_secret: what its form must carry, None if it is no form.
    """

    session: Session | None
    is_new: bool = False
    form_secret: str | None = None


class Guard:
    """Middleware that lets only allowed requests through and hardens every answer."""

    def __init__(self, app: ASGIApp, sessions: Sessions, threshold: Threshold, page: Page) -> None:
        """Guard an app; `page` draws an error."""
        self._app, self._sessions, self._at, self._page = app, sessions, threshold, page
        self._complaint = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            return  # there are no web sockets here, and nothing to do at the start
        try:
            visit = self._visit(scope)
            state = scope.setdefault("state", {})
            state["session"] = visit.session
            if visit.form_secret is not None:
                state["form"] = await _form(receive, visit.form_secret)
        except RefusedError as refused:
            await self._refusal(refused, scope["path"])(scope, receive, self._hardened(send))
            return
        if visit.session:
            visiting.set(visit.session)
        given = visit.session if visit.is_new else None
        try:
            await self._app(scope, receive, self._hardened(send, given))
        except Exception as error:  # noqa: BLE001  it was answered; its text may quote a cell
            sys.stderr.write(f"{with_code(error)}\n")

    def _visit(self, scope: Scope) -> _Visit:
        """Return who asks, if the request may go through; RefusedError if it may not."""
        headers, method = Headers(scope=scope), scope["method"]
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._at.answers_to(hosts[0].lower()):
            raise RefusedError(421, "This server does not answer to that host name.")
        users = self._users()
        name = None
        if self._at.door.proxy:
            client = (scope.get("client") or ("",))[0]
            name = self._at.named(headers, client, users or {})
        route, power = _looked_up("GET" if method == "HEAD" else method, scope["path"])
        visit = self._known(headers, users, name, scope["path"])
        is_open = power == self._at.opens
        if not is_open:
            session = self._allowed(visit.session, scope, route, power)
        if method in SAFE:
            return visit
        is_form = route in roles.FORMS
        _require_own(headers, self._at.origin_of(hosts[0].lower()), is_form=is_form)
        if is_open:
            return dataclasses.replace(visit, form_secret=self._login_secret(headers))
        if is_form:
            return dataclasses.replace(visit, form_secret=session.csrf)
        _require_secret(headers.get(CSRF, ""), session.csrf)
        return visit

    def _allowed(self, session: Session | None, scope: Scope, route: str, power: str) -> Session:
        """Return the session if its role may use a route; RefusedError if not."""
        if session is None:
            raise self._stranger(scope)
        if not route:
            raise RefusedError(404, "There is no such page.", "Go back to the runs.")
        if power in roles.POWERS and (words := roles.refusal(session, power)):
            raise RefusedError(403, words)
        return session

    def _login_secret(self, headers: Headers) -> str:
        cookies = cookie_parser(headers.get("cookie", ""))
        return self._at.form_token(cookies.get(self._at.cookie_name("login"), ""))

    def _users(self) -> Users | None:
        """Return the users as the file has them now; nobody is let in by a broken file."""
        try:
            users = self._at.users.now() if self._at.users else None
        except AssayError as error:
            if self._complaint != str(error):
                self._complaint = str(error)
                sys.stderr.write(f"{error}\n")
            what = "The users file cannot be used, so nobody is let in."
            raise RefusedError(503, what, "The server's terminal says why.") from error
        self._complaint = ""
        return users

    def _known(
        self, headers: Headers, users: Users | None, name: str | None, path: str
    ) -> _Visit:  # fmt: skip
        """Return the session of a request; one that a proxy names gets a session with its page."""
        cookies: Mapping[str, str] = cookie_parser(headers.get("cookie", ""))
        cookie = cookies.get(self._at.cookie_name())
        session = self._sessions.of(cookie, users)
        if name is None or users is None or (session and session.name == name):
            return _Visit(session)
        if path.startswith(NO_PAGES):
            return _Visit(None)
        return _Visit(self._sessions.open(users[name], "proxy"), is_new=True)

    def _stranger(self, scope: Scope) -> RefusedError:
        """Return what somebody is told who is not in."""
        if not self._at.users:
            return RefusedError(401, CLOSED)
        if scope["method"] not in SAFE or scope["path"].startswith(NO_PAGES):
            fix = "Reload this page; what was recorded stays recorded."
            return RefusedError(401, "Your session has ended, so nothing was recorded.", fix)
        to = quote(scope["path"], safe="/")
        return RefusedError(303, "Log in.", location=LOGIN if to == "/" else f"{LOGIN}?to={to}")

    def _hardened(self, send: Send, session: Session | None = None) -> Send:
        """Return what sends answers with the headers that every answer has, and a new session."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if self._at.is_tls:
                    headers["strict-transport-security"] = f"max-age={YEAR}"
                if session:
                    answer = Response()
                    self._at.set_session(answer, session)
                    headers.append("set-cookie", answer.headers["set-cookie"])
            await send(message)

        return sent

    def _refusal(self, refused: RefusedError, path: str) -> Response:
        facts = {"code": "", "message": refused.message, "fix": refused.fix}
        if path.startswith("/api/"):
            body, kind = json.dumps(facts), "application/json"
        elif refused.status == HTTPStatus.NOT_FOUND or (
            self._at.has_login and refused.status != HTTPStatus.MISDIRECTED_REQUEST
        ):
            body, kind = self._page(facts), "text/html"
        else:
            body, kind = f"{refused.message} {refused.fix}".strip() + "\n", "text/plain"
        return Response(body, refused.status, refused.headers, kind)


def _looked_up(method: str, path: str) -> tuple[str, str]:
    """Return the route of a path and who may use it; "" and "look" if there is none."""
    for own, pattern, route, power in _TABLE:
        if own == method and pattern.match(path):
            return route, power
    return "", "look"


def _require_own(headers: Headers, origin: str, *, is_form: bool) -> None:
    """Refuse what may change something unless one of this server's own pages sent it."""
    if [each.lower() for each in headers.getlist("origin")] != [origin]:
        raise RefusedError(403, FOREIGN)
    if headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise RefusedError(403, FOREIGN)
    kind = headers.get("content-type", "").partition(";")[0].strip()
    if kind != (FORM if is_form else "application/json"):
        raise RefusedError(415, f"The request must be {'a form' if is_form else 'JSON'}.")
    length = headers.get("content-length", "")
    if "transfer-encoding" in headers or not length.isascii() or not length.isdigit():
        raise RefusedError(411, "The request must say how long it is.")
    if len(length) > DIGITS or int(length) > MOST_BODY:
        raise RefusedError(413, "The request is too long.")


def _require_secret(given: str, wanted: str) -> None:
    """Refuse what does not carry the secret that only the session's own pages know."""
    if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode()):
        raise RefusedError(403, "The request lacks the secret of this session; reload the page.")


async def _form(receive: Receive, secret: str) -> dict[str, str]:
    """Return the fields of a form, if it carries the secret of its page."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise RefusedError(400, "The request ended early.")
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        fields = []
    form = dict(fields)
    if len(form) != len(fields) or "csrf" not in form:
        raise RefusedError(422, "The request is not what the page sends.")
    _require_secret(form.pop("csrf"), secret)
    return form
