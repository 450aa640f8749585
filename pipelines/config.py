"""Assay's settings from the environment; `orchestration.server` reads those of Prefect.

ASSAY_STORE, ASSAY_SIGNING_KEY (PEM file, or the PEM itself), ASSAY_PUBLIC_KEY (PEM file),
ASSAY_CHECKPOINT (file), ASSAY_OPENLINEAGE and ASSAY_RETRAIN (file or URL), ASSAY_PROXY (URL),
XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_CACHE_HOME; OPENLINEAGE_URL, _ENDPOINT, _API_KEY, _NAMESPACE
and _DISABLED as that standard defines them. The command line takes precedence over the environment.
"""

import dataclasses
import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from provenance.base.errors import AssayError

KEY = "ASSAY_SIGNING_KEY"
TELEMETRY_OFF = {
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
}
QUIET = {
    **TELEMETRY_OFF,
    "TQDM_DISABLE": "1",
    # a folder named `checks` or `pipelines` in a child's working folder must not shadow ours
    "PYTHONSAFEPATH": "1",
}

# Checks, rules and the orchestrator already share the cores. More threads made the models three
# times slower on a busy machine, no faster on a quiet one, and their sums less repeatable.
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

_held: list[bytes] = []  # the key that `take_key` moved here


def quiet_libraries() -> None:
    """Set the environment that libraries read; call this before they are imported."""
    os.environ.update(QUIET)
    for name, value in THREADS.items():
        os.environ.setdefault(name, value)


def store_folder(given: str | None) -> Path:
    """Return the store's folder: as given, else $ASSAY_STORE, else ./assay-store."""
    return Path(given or os.environ.get("ASSAY_STORE") or "assay-store")


def store_words(folder: Path) -> str:
    """Return ` --store DIR` for a command to be copied, "" if that store is the default."""
    return "" if folder == store_folder(None) else f" --store {shlex.quote(str(folder))}"


def config_folder() -> Path:
    """Return the user's configuration folder for Assay; E003 if there is no home folder."""
    if folder := user_folder("XDG_CONFIG_HOME", "~/.config"):
        return folder / "assay"
    fix = "set HOME or XDG_CONFIG_HOME, or ASSAY_SIGNING_KEY to the key's file"
    raise AssayError("E003", "no home folder to keep the signing key in", fix=fix)


def state_folder() -> Path:
    """Return the folder of what Assay remembers for this user, see `store.high_water`.

    Without a home folder, it is a path that cannot be used, which is reported like any other.
    """
    return (user_folder("XDG_STATE_HOME", "~/.local/state") or Path(os.devnull)) / "assay"


def user_folder(variable: str, usual: str) -> Path | None:
    """Return the XDG folder of this user, None without a home folder.

    Args:
        variable: names it in the environment; the standard ignores a relative path there.
        usual: where it lies otherwise, such as `~/.config`.
    """
    if (given := os.environ.get(variable)) and Path(given).is_absolute():
        return Path(given)
    try:
        return Path(usual).expanduser()
    except RuntimeError:
        return None


def signing_key() -> Path:
    """Return the file of the signing key."""
    given = os.environ.get(KEY)
    return Path(given) if given else config_folder() / "signing-key.pem"


def key_text() -> bytes | None:
    """Return the signing key itself, None unless ASSAY_SIGNING_KEY holds a PEM, not its path."""
    given = os.environ.get(KEY, "")
    if given.strip():
        return given.strip().encode() if _is_key(given) else None
    return _held[0] if _held else None


def is_key_named() -> bool:
    """Return whether the environment names the signing key, by its path or by the key itself."""
    return bool(os.environ.get(KEY)) or bool(_held)


def take_key() -> bytes | None:
    """Move a key out of the environment into memory, where no child inherits it; return it."""
    text = key_text()
    hold_key(text)
    if text is not None:
        os.environ.pop(KEY, None)
    return text


def hold_key(text: bytes | None) -> None:
    """Keep the signing key's text, None for none; the environment takes precedence over it."""
    _held[:] = [] if text is None else [text]


def without_key(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for a child that signs nothing: without the key, but with its path."""
    return {name: given for name, given in environment.items() if name != KEY or not _is_key(given)}


def _is_key(given: str) -> bool:
    return given.strip().startswith("-----BEGIN")


def public_key() -> Path | None:
    """Return the file of the pinned public key, None if none is pinned."""
    given = os.environ.get("ASSAY_PUBLIC_KEY")
    return Path(given) if given else None


def checkpoint() -> str | None:
    """Return the checkpoint, kept elsewhere, that every ledger must continue; None if none."""
    return os.environ.get("ASSAY_CHECKPOINT") or None


@dataclasses.dataclass(frozen=True, slots=True)
class LineageTarget:
    """Where OpenLineage events go: `place` is a file, or the URL to post them to.

    `key` is sent to that URL as a bearer token. No message may show either.
    """

    place: str
    namespace: str
    key: str = ""


def lineage_target() -> LineageTarget | None:
    """Return where to send OpenLineage events, None if they were not asked for."""
    from urllib.parse import urljoin

    given = os.environ.get
    namespace = given("OPENLINEAGE_NAMESPACE") or "assay"
    if given("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return None
    if place := given("ASSAY_OPENLINEAGE"):
        return LineageTarget(place, namespace)
    if url := given("OPENLINEAGE_URL"):
        place = urljoin(url, given("OPENLINEAGE_ENDPOINT") or "api/v1/lineage")
        return LineageTarget(place, namespace, given("OPENLINEAGE_API_KEY") or "")
    return None


def retrain_target() -> str | None:
    """Return the file or URL that gets the retrain signal, None if it was not asked for."""
    return os.environ.get("ASSAY_RETRAIN") or None


def proxy() -> str | None:
    """Return the proxy for events sent over HTTP; the usual proxy variables do not count."""
    return os.environ.get("ASSAY_PROXY") or None


def reviewer() -> str:
    """Return the name of the account that runs this process, whatever the environment says."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid-{os.geteuid()}"
