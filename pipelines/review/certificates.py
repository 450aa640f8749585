"""The certificate and private key of the review page: looked at before the port is bound."""

import ipaddress
import os
import ssl
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.clock import now
from provenance.base import no_follow
from provenance.base.errors import AssayError

if TYPE_CHECKING:
    from cryptography import x509

MOST_BYTES = 1 << 20
# others may read neither; a group that administers keys may read them, as on Debian
CLOSED = stat.S_IRWXO | stat.S_IWGRP


def loaded(
    certificate: Path | None, key: Path | None
) -> tuple[ssl.SSLContext | None, tuple[str, ...]]:
    """Return the TLS settings of a server and the names it may have, none without a certificate.

    Raises:
        AssayError: ASSAY-E113 if certificate and key cannot be used, or not together.
    """
    if certificate is None or key is None:
        return None, ()
    served = names(certificate)
    return context(certificate, key), served


def names(certificate: Path) -> tuple[str, ...]:
    """Return the DNS names and IP addresses that a certificate is for, in its order.

    Raises:
        AssayError: ASSAY-E113 if it cannot be read, is not valid now, or names nothing.
    """
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificates(_read(certificate, "certificate"))[0]
    except ValueError as error:
        raise _refused("the certificate is not a PEM file", certificate, PEM) from error
    _require_valid(found, certificate)
    try:
        alternatives = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        alternatives = x509.SubjectAlternativeName([])
    dns = [name.lower() for name in alternatives.get_values_for_type(x509.DNSName)]
    addresses = [str(ip) for ip in alternatives.get_values_for_type(x509.IPAddress)]
    if not (made := (*dns, *addresses)):
        what = "the certificate names no host: browsers ignore its common name"
        fix = "get one whose subjectAltName has the name that people open"
        raise _refused(what, certificate, fix)
    return made


def context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return the TLS settings of a server; E113 if certificate and key cannot be used together."""
    _read(key, "private key")
    mode = key.stat().st_mode
    if mode & CLOSED:
        raise _refused(
            "other users can read or change the private key", key, "run `chmod 600` on it"
        )
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    is_asked: list[bool] = []

    def no_password() -> str:
        is_asked.append(True)
        return ""

    try:
        made.load_cert_chain(certificate, key, no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        if is_asked:
            fix = "store it without a password, readable by this account only"
            raise _refused("the private key has a password", key, fix) from error
        if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
            fix = "give the key that the certificate was made with"
            raise _refused("the private key is not that of the certificate", key, fix) from error
        raise _refused("the private key is not a PEM file", key, PEM) from error
    return made


def is_named(host: str, served: tuple[str, ...]) -> bool:
    """Return whether a certificate's names cover a host name or address, given in lower case."""
    try:
        return str(ipaddress.ip_address(host.strip("[]"))) in served
    except ValueError:
        _, _, rest = host.partition(".")
        return host in served or (bool(rest) and f"*.{rest}" in served)


PEM = "give a PEM file; `openssl` converts other formats"


def _require_valid(found: "x509.Certificate", path: Path) -> None:
    from datetime import datetime

    moment = datetime.fromisoformat(now())
    if moment > found.not_valid_after_utc:
        what = f"the certificate expired on {found.not_valid_after_utc:%Y-%m-%d}"
        raise _refused(what, path, "renew it")
    if moment < found.not_valid_before_utc:
        what = f"the certificate is valid only from {found.not_valid_before_utc:%Y-%m-%d}"
        raise _refused(what, path, "wait, or correct this machine's clock")


def _read(path: Path, kind: str) -> bytes:
    try:
        descriptor = no_follow.open_given(path)
        with os.fdopen(descriptor, "rb") as file:
            return file.read(MOST_BYTES)
    except no_follow.IrregularError as error:
        raise _refused(f"the {kind} is {error.kind}", path, "give the path of a file") from error
    except OSError as error:
        what = f"the {kind} cannot be read: {os.strerror(error.errno or 0)}"
        raise _refused(what, path, "check the path and the permissions") from error


def _refused(what: str, path: Path, fix: str) -> AssayError:
    return AssayError("E113", what, where=str(path), fix=fix)
