"""Which Prefect server is configured, found without importing Prefect (which takes a second).

Places that are the user's own: the environment, then the active profile. Prefect would look into
files of the working folder as well; a cloned project's are no orders (`prefect_files`).
"""

import contextlib
import http.client
import os
import ssl
import tomllib
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines.orchestration import prefect_files
from provenance.base.errors import AssayError

NAME = "PREFECT_API_URL"
PATIENCE = 10.0  # seconds that a configured server gets to answer
TOO_LARGE = 1 << 20  # bytes; nobody writes such settings by hand
SERVER_FAULT = 500


def configured_url() -> str | None:
    """Return the API's address, or None when no server is configured."""
    for value in _candidates():
        if isinstance(value, str) and value.strip():
            return value.strip().rstrip("/")
    return None


def check_answers(url: str, patience: float = PATIENCE) -> None:
    """Return when the server behind `url` answers its health check.

    Raises:
        AssayError: ASSAY-E101 if it does not within `patience` seconds.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        named = parts.hostname and parts.scheme in {"http", "https"}
        # what stands before an @ is a password: Prefect's to send, and nobody's to be shown
        bare = urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    except ValueError:
        named, bare = False, ""
    if not named:
        raise _silent("PREFECT_API_URL", "it is no address with http or https")
    try:
        with urllib.request.urlopen(f"{bare}/health", timeout=patience):  # noqa: S310  see above
            return
    except urllib.error.HTTPError as error:
        error.close()
        # it may ask for credentials, which Prefect has and this probe has not: it is there
        if error.code >= SERVER_FAULT:
            raise _silent(bare, f"it answers with status {error.code}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if not isinstance(reason, ssl.SSLError):  # Prefect has certificate settings of its own
            raise _silent(bare, str(reason)) from error


def _candidates() -> Iterator[Any]:
    yield os.environ.get(NAME)
    profiles = _toml(prefect_files.profiles_path())
    active = os.environ.get("PREFECT_PROFILE") or profiles.get("active")
    yield _at(profiles, "profiles", active, NAME)


def _toml(path: Path) -> dict[str, Any]:
    """Return the file's settings; one that is missing or broken is for Prefect to complain of."""
    with contextlib.suppress(OSError, ValueError):
        if path.stat().st_size <= TOO_LARGE:
            return tomllib.loads(path.read_text(encoding="utf-8"))
    return {}


def _at(settings: Any, *keys: Any) -> Any:
    for key in keys:
        if not isinstance(settings, dict):
            return None
        settings = settings.get(key)
    return settings


def _silent(where: str, why: str) -> AssayError:
    what = "the configured Prefect server does not answer"
    fix = "start that server, correct PREFECT_API_URL, or use `--direct`"
    return AssayError("E101", what, where=f"{where}: {why}", fix=fix)
