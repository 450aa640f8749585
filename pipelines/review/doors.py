"""How the review page can be reached, from the options of `assay review`.

There are four ways in: on this machine by a one-time link, for the account that serves; on this
machine by users and passwords; over TLS by users and passwords; and by a proxy that has found out
who somebody is and says so in a header. What would let anybody else in is refused here, before
anything is imported or bound.
"""

import argparse
import dataclasses
import ipaddress
import re
from pathlib import Path
from urllib.parse import urlsplit

from pipelines.review.users import private
from provenance.base.errors import AssayError

LOOPBACK = "127.0.0.1"
OF_TLS = ("tls_cert", "tls_key")
OF_PROXY = ("trusted_header", "proxy", "proxy_secret", "origin")
OPTIONS = ("host", "users", *OF_TLS, *OF_PROXY)
LEAST_SECRET = 32  # characters
SECRET_HEADER = "assay-proxy-secret"  # noqa: S105  its name
# a header with another meaning cannot also be a name
TAKEN = re.compile(r"host|cookie|origin|connection|transfer-.*|content-.*|sec-.*|x-assay-.*|"
                   + SECRET_HEADER)  # fmt: skip
PAGE = "docs/review.md#from-other-machines"


@dataclasses.dataclass(frozen=True, slots=True)
class Proxy:
    """Who may say in a header who somebody is.

    Attributes:
        header: its name, in lower case.
        addresses: of the proxies.
        secret: what they send with each request.
        origin: scheme, host and port that browsers see.
    """

    header: str
    addresses: frozenset[str]
    secret: str
    origin: str


@dataclasses.dataclass(frozen=True, slots=True)
class Door:
    """The way in: by default a one-time link on this machine.

    Attributes:
        host: address that the server binds.
        users: file of users, None if only the account that serves may come in.
        certificate: PEM file for TLS, None for plain HTTP.
        key: PEM file of its private key.
        proxy: whose header counts, None if none does.
    """

    host: str = LOOPBACK
    users: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    proxy: Proxy | None = None


def asked(arguments: argparse.Namespace) -> Door:
    """Return the way in that the options ask for.

    Raises:
        AssayError: ASSAY-C012 if an option is missing, invalid or without meaning; E112 if the
            file of the proxy's secret may not be used.
    """
    host = address(arguments.host or LOOPBACK, "--host")
    given = {name for name in OPTIONS if getattr(arguments, name) is not None}
    is_near = ipaddress.ip_address(host).is_loopback
    if not is_near or given & set(OF_TLS):
        why = "" if is_near else f"--host {host} lets other machines reach the page, which "
        _require(given, ("users", *OF_TLS), why)
    if given & set(OF_PROXY):
        _require(given, ("users", *OF_PROXY), "")
    if "users" in given and arguments.reviewer is not None:
        what = "--as has no meaning with --users: each decision is by the user who is logged in"
        raise AssayError("C012", what, fix="leave --as or --users out")
    return Door(
        host=host,
        users=_path(arguments.users),
        certificate=_path(arguments.tls_cert),
        key=_path(arguments.tls_key),
        proxy=_proxy(arguments, is_near=is_near) if "trusted_header" in given else None,
    )


def address(text: str, option: str) -> str:
    """Return an IP address in its usual form; C012 if it is none."""
    try:
        return str(ipaddress.ip_address(LOOPBACK if text == "localhost" else text))
    except ValueError:
        what = f"{option} must be an IP address"
        fix = f"for example {LOOPBACK} for this machine only, or 0.0.0.0 for all of its networks"
        fix = fix if option == "--host" else "give the address that the proxy connects from"
        raise AssayError("C012", what, where=option, fix=fix) from None


def _require(given: set[str], needed: tuple[str, ...], why: str) -> None:
    """Refuse options that lack one of `needed`, the first of which is `users`."""
    missing = [name for name in needed if name not in given]
    if not missing:
        return
    first, last = ", ".join(map(_word, missing[:-1])), _word(missing[-1])
    lacks = f"{first} and {last}" if first else last
    has = "--host" if why else _word(next(name for name in needed[1:] if name in given))
    what = f"{why}needs {lacks}" if why else f"{has} needs {lacks}"
    fix = f"add what is missing ({PAGE}), or leave {has} out"
    fix = f"{fix} and reach this machine with ssh -L" if why else fix
    raise AssayError("C012", what, fix=fix)


def _proxy(arguments: argparse.Namespace, *, is_near: bool) -> Proxy:
    name = arguments.trusted_header.lower()
    if not re.fullmatch("[a-z0-9-]{1,64}", name) or TAKEN.fullmatch(name):
        what = "--trusted-header must name a header that has no other meaning"
        raise AssayError("C012", what, fix="for example X-Remote-User")
    secret = private(Path(arguments.proxy_secret), "the file of --proxy-secret")
    text = secret.strip().decode("ascii", "replace")
    if len(text) < LEAST_SECRET or not text.isascii() or not text.isprintable() or " " in text:
        what = f"the file of --proxy-secret must hold one word of {LEAST_SECRET} characters or more"
        fix = "write one with `openssl rand -hex 32`"
        raise AssayError("C012", what, where=arguments.proxy_secret, fix=fix)
    addresses = frozenset(address(each, "--proxy") for each in arguments.proxy)
    return Proxy(name, addresses, text, _origin(arguments.origin, is_near=is_near))


def _origin(text: str, *, is_near: bool) -> str:
    """Return an origin as browsers send it: https, or http to this machine for a trial."""
    try:
        found = urlsplit(text.rstrip("/"))
        port = found.port
    except ValueError:
        found, port = urlsplit(""), None
    name = found.hostname or ""
    is_trial = is_near and found.scheme == "http" and name in (LOOPBACK, "localhost")
    shown = f"[{name}]" if ":" in name else name
    is_usual = port in (None, 443 if found.scheme == "https" else 80)
    made = f"{found.scheme}://{shown}" + ("" if is_usual else f":{port}")
    if not name or not (found.scheme == "https" or is_trial) or text.rstrip("/").lower() not in (
        made, f"{made}:{port}",
    ):  # fmt: skip
        what = "--origin must be the https address that people open, without a path"
        raise AssayError(
            "C012", what, where="--origin", fix="for example https://review.example.org"
        )
    return made


def _word(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _path(given: str | None) -> Path | None:
    return None if given is None else Path(given)
