"""Which Prefect server is configured, found without importing Prefect (which takes a second).

The same places in the same order as Prefect looks: the environment, `.env`, `prefect.toml` and
`pyproject.toml` of the working folder, the active profile.
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

from provenance.errors import AssayError

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
    here = _dotenv(Path(".env"))
    yield here.get(NAME)
    toml, project = _toml(Path("prefect.toml")), _toml(Path("pyproject.toml"))
    yield _at(toml, "api", "url")
    yield _at(project, "tool", "prefect", "api", "url")
    yield _of_profile(here, toml, project)


def _of_profile(here: dict[str, Any], toml: dict[str, Any], project: dict[str, Any]) -> Any:
    home = os.environ.get("PREFECT_HOME") or here.get("PREFECT_HOME") or _at(toml, "home")
    given = [
        os.environ.get("PREFECT_PROFILES_PATH"),
        here.get("PREFECT_PROFILES_PATH"),
        _at(toml, "profiles_path"),
        _at(project, "tool", "prefect", "profiles_path"),
        f"{home}/profiles.toml" if home else None,
        "~/.prefect/profiles.toml",
    ]
    path = next(str(item) for item in given if item)
    with contextlib.suppress(RuntimeError):  # there is no home folder
        path = str(Path(path).expanduser())
    profiles = _toml(Path(path))
    active = os.environ.get("PREFECT_PROFILE") or profiles.get("active")
    return _at(profiles, "profiles", active, NAME)


def _dotenv(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    with contextlib.suppress(OSError, ValueError):
        return dict(dotenv_values(path))
    return {}


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
