"""The way in as it is served: which hosts and origins count, which cookies, and who is named.

Made from a `Door` once the port is known; the guard asks it about every request.
"""

import dataclasses
import hmac
import ipaddress
import re
import secrets

from starlette.datastructures import Headers
from starlette.responses import Response

from pipelines.review import certificates, roles
from pipelines.review.doors import SECRET_HEADER, Door, Proxy
from pipelines.review.sessions import Session
from pipelines.review.users import Users, UsersFile

HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?")
FORM_AGE = 3600  # seconds that a login form may stay open
YEAR = 365 * 24 * 3600


class RefusedError(Exception):
    """A request that must not go through: its status, and words for whoever sent it."""

    def __init__(self, status: int, message: str, fix: str = "", **headers: str) -> None:
        """Say why; `headers` of the answer have _ for -."""
        super().__init__(message)
        self.status, self.message, self.fix = status, message, fix
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


NOT_PROXY = "This server answers only to its proxy."


@dataclasses.dataclass(frozen=True, slots=True)
class Threshold:
    """What is asked of a request before anybody is let in.

    Attributes:
        door: what the command line asked for.
        port: that is bound.
        users: None if only the account that serves may come in.
        names: of the certificate, none without TLS.
    """

    door: Door
    port: int
    users: UsersFile | None = None
    names: tuple[str, ...] = ()
    _secret: bytes = dataclasses.field(default_factory=lambda: secrets.token_bytes(32))

    @property
    def is_tls(self) -> bool:
        """Return whether the server itself speaks TLS."""
        return self.door.certificate is not None

    @property
    def _scheme(self) -> str:
        return "https" if self.is_tls else "http"

    @property
    def _usual_port(self) -> int:
        return 443 if self.is_tls else 80

    @property
    def is_secure(self) -> bool:
        """Return whether browsers reach the page by https, here or at a proxy."""
        return self.door.proxy.origin.startswith("https:") if self.door.proxy else self.is_tls

    @property
    def has_login(self) -> bool:
        """Return whether people log in on a page of this server."""
        return self.users is not None and self.door.proxy is None

    @property
    def opens(self) -> str:
        """Return which routes are open to strangers, as `roles.ROUTES` calls them; "" for none."""
        if self.users is None:
            return roles.LINK
        return roles.FRONT if self.has_login else ""

    @property
    def origin(self) -> str:
        """Return the address of the page, without a path."""
        if self.door.proxy:
            return self.door.proxy.origin
        # a browser cannot open a wildcard of the certificate
        name = next((each for each in self.names if "*" not in each), self.door.host)
        shown = f"[{name}]" if ":" in name else name
        port = "" if self.port == self._usual_port else f":{self.port}"
        return f"{self._scheme}://{shown}{port}"

    def answers_to(self, host: str) -> bool:
        """Return whether a Host header, in lower case, names this server."""
        if self.door.proxy:
            return host == self.door.proxy.origin.partition("://")[2]
        found = HOST.fullmatch(host)
        if found is None or (found[2] or str(self._usual_port)) != str(self.port):
            return False
        name = found[1]
        if self.is_tls:
            return certificates.is_named(name, self.names)
        own = ipaddress.ip_address(self.door.host)
        if own.version == 6:  # noqa: PLR2004
            return name == f"[{own}]"
        return name in (self.door.host, "localhost")

    def origin_of(self, host: str) -> str:
        """Return what a browser sends as Origin from a page of this server."""
        return self.door.proxy.origin if self.door.proxy else f"{self._scheme}://{host}"

    def named(self, headers: Headers, client: str, users: Users) -> str:
        """Return the user whom the proxy names.

        Raises:
            RefusedError: 403 if another sent the request, or the name is not one user's.
        """
        proxy = self.door.proxy
        if proxy is None or plain_address(client) not in proxy.addresses:
            raise RefusedError(403, NOT_PROXY)
        given = headers.getlist(SECRET_HEADER)
        right = hmac.compare_digest(_bytes(given[0]) if given else b"", _bytes(proxy.secret))
        if len(given) != 1 or not right:
            raise RefusedError(403, NOT_PROXY)
        return _named(headers, proxy, users)

    # cookies

    def cookie_name(self, kind: str = "review") -> str:
        """Return a cookie's name; browsers send a cookie to every port of its host."""
        return f"{'__Host-' if self.is_secure else ''}assay-{kind}-{self.port}"

    def set_session(self, answer: Response, session: Session) -> None:
        """Give a browser the cookie of a session; it is no browser of the login form any more."""
        self._set(answer, self.cookie_name(), session.cookie)
        if self.has_login:
            self.drop(answer, "login")

    def drop(self, answer: Response, kind: str = "review") -> None:
        """Take a cookie from a browser."""
        answer.delete_cookie(self.cookie_name(kind), path="/", secure=self.is_secure,
                             httponly=True, samesite="strict")  # fmt: skip

    def set_form(self, answer: Response, cookie: str) -> None:
        """Give a browser the cookie of a login form."""
        self._set(answer, self.cookie_name("login"), cookie, FORM_AGE)

    def form_token(self, cookie: str) -> str:
        """Return what a login form must send, given its cookie: only its own page knows it."""
        return hmac.new(self._secret, cookie.encode("utf-8", "replace"), "sha256").hexdigest()

    def _set(self, answer: Response, name: str, value: str, age: int | None = None) -> None:
        answer.set_cookie(name, value, max_age=age, path="/", secure=self.is_secure,
                          httponly=True, samesite="strict")  # fmt: skip


def plain_address(text: str) -> str:
    """Return an address in its usual form, an IPv4 address also if it came in over IPv6."""
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    inner = getattr(found, "ipv4_mapped", None)
    return str(inner or found)


def _named(headers: Headers, proxy: Proxy, users: Users) -> str:
    names = headers.getlist(proxy.header)
    if len(names) != 1 or names[0] not in users:
        # the same words for each, and none of the header's
        what = "The proxy did not name a user of this page."
        raise RefusedError(403, what, "Ask whoever runs it to add you to its users file.")
    return names[0]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
