"""Settings of Assay from the environment; those of Prefect are read by `server_address`.

ASSAY_STORE, ASSAY_SIGNING_KEY (PEM file, or the PEM itself), ASSAY_PUBLIC_KEY (PEM file),
ASSAY_CHECKPOINT (file), ASSAY_OPENLINEAGE (file or address), XDG_CONFIG_HOME, XDG_STATE_HOME;
OPENLINEAGE_URL, _ENDPOINT, _API_KEY, _NAMESPACE and _DISABLED as that standard has them. What a
command line gives goes before the environment.
"""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

QUIET = {
    # analytics of every library off, and none of their chatter on the terminal
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "TQDM_DISABLE": "1",
    # a folder named `checks` or `pipelines` where a child starts must not shadow ours
    "PYTHONSAFEPATH": "1",
}

# Checks, rules and the orchestrator share the cores already. Threads of their own made the models
# three times slower on a busy machine, no faster on a quiet one, and their sums less repeatable.
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

_PEM = "-----BEGIN"


def quiet_libraries() -> None:
    """Set what libraries read from the environment; call before they are imported."""
    os.environ.update(QUIET)
    for name, value in THREADS.items():
        os.environ.setdefault(name, value)


def store_folder(given: str | None) -> Path:
    """Return the store: as given, else $ASSAY_STORE, else ./assay-store."""
    return Path(given or os.environ.get("ASSAY_STORE") or "assay-store")


def config_folder() -> Path:
    """Return the user's configuration folder for Assay."""
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path("~/.config").expanduser())
    return Path(home) / "assay"


def state_folder() -> Path:
    """Return the folder of what Assay remembers for this user: `high_water`."""
    home = os.environ.get("XDG_STATE_HOME") or str(Path("~/.local/state").expanduser())
    return Path(home) / "assay"


def signing_key() -> Path:
    """Return the file of the signing key."""
    given = os.environ.get("ASSAY_SIGNING_KEY")
    return Path(given) if given else config_folder() / "signing-key.pem"


def key_text() -> bytes | None:
    """Return the signing key itself, when ASSAY_SIGNING_KEY holds a PEM and not its path."""
    given = os.environ.get("ASSAY_SIGNING_KEY", "").strip()
    return given.encode() if given.startswith(_PEM) else None


def without_key(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for another program: without the key, if it holds the key itself."""
    given = dict(environment)
    if given.get("ASSAY_SIGNING_KEY", "").strip().startswith(_PEM):
        del given["ASSAY_SIGNING_KEY"]
    return given


def public_key() -> Path | None:
    """Return the file of the public key to trust, when one is pinned."""
    given = os.environ.get("ASSAY_PUBLIC_KEY")
    return Path(given) if given else None


def checkpoint() -> str | None:
    """Return the checkpoint, kept elsewhere, that every ledger must hold against; None if none."""
    return os.environ.get("ASSAY_CHECKPOINT") or None


@dataclasses.dataclass(frozen=True, slots=True)
class LineageTarget:
    """Where OpenLineage events go: `place` is a file, or the address to post to.

    `key` is sent to that address as a bearer token; neither is for messages.
    """

    place: str
    namespace: str
    key: str = ""


def lineage_target() -> LineageTarget | None:
    """Return where to send OpenLineage events, None if nobody asked for them."""
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
    """Return the file or address that is to have the retrain signal, None if nobody asked."""
    return os.environ.get("ASSAY_RETRAIN") or None


def reviewer() -> str:
    """Return the name under which decisions are recorded when none is given."""
    return os.environ.get("USER") or os.environ.get("LOGNAME") or f"uid-{os.getuid()}"
