"""`assay doctor`: check this machine and installation, one line per check, with what to do."""

import argparse
import dataclasses
import json
import os
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from pipelines import config
from pipelines.orchestration import server
from pipelines.store import keys
from pipelines.store.store import Store
from provenance.base.codes import EXIT
from provenance.base.errors import AssayError
from provenance.ledger import signing

PACKAGES = ("provenance", "checks", "pipelines")
# what breaks Prefect 3.8: name, first version that does
BREAKING = (("fastapi", (0, 154)), ("sqlalchemy", (2, 1)))
LIBRARIES = ("pandas", "great-expectations", "cleanlab", "scikit-learn", "pyarrow", "prefect",
             "duckdb", "presidio-analyzer")  # fmt: skip
LOW_DISK = 1 << 30
ANSWER_SECONDS = 2.0


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One check: its name, whether it passed, what was found, how to fix it."""

    name: str
    ok: bool
    seen: str
    fix: str = ""


def main(arguments: argparse.Namespace) -> int:
    """Print every line; exit 3 if any check failed."""
    store = config.store_folder(arguments.store)
    checks: list[Callable[[], Line]] = [
        _python, _shadowed, _breaking, _libraries, _key, _prefect, _names,
        lambda: _store(store), lambda: _disk(store),
    ]  # fmt: skip
    lines = [check() for check in checks]
    if arguments.json:
        whole = {"schema": "assay.doctor/1", "ok": all(line.ok for line in lines),
                 "lines": [dataclasses.asdict(line) for line in lines]}  # fmt: skip
        sys.stdout.write(json.dumps(whole) + "\n")
    for line in [] if arguments.json else lines:
        sys.stdout.write(f"{'ok  ' if line.ok else 'FAIL'}  {line.name:<12} {line.seen}\n")
        if line.fix and not line.ok:
            sys.stdout.write(f"      fix: {line.fix}\n")
    return EXIT["pass"] if all(line.ok for line in lines) else EXIT["unchecked"]


def _python() -> Line:
    version = ".".join(map(str, sys.version_info[:3]))
    return Line("python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer")


def _shadowed() -> Line:
    owners = metadata.packages_distributions()
    bad = sorted({name for p in PACKAGES for name in owners.get(p, []) if name != "assay"})
    if bad:
        fix = "install Assay in an environment of its own (ASSAY-E102)"
        return Line("packages", ok=False, seen=f"also shipped by {', '.join(bad)}", fix=fix)
    return Line(
        "packages", ok=True, seen=f"only assay {metadata.version('assay')} ships its three packages"
    )


def _breaking() -> Line:
    bad = [
        f"{name} {metadata.version(name)}"
        for name, first in BREAKING
        if tuple(int(part) for part in metadata.version(name).split(".")[:2]) >= first
    ]
    fix = "install fastapi<0.154 and sqlalchemy<2.1; Prefect's scheduler fails with newer ones"
    return Line("pins", not bad, ", ".join(bad) or "no version known to break Prefect", fix)


def _libraries() -> Line:
    found, missing = [], []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    seen = f"missing: {', '.join(missing)}" if missing else ", ".join(found)
    return Line("libraries", not missing, seen, "install Assay again")


def _key() -> Line:
    path = config.signing_key()
    if config.key_text():
        return Line(
            "key", ok=True, seen=f"{keys.own().verifier.key_id.hex()}, from ASSAY_SIGNING_KEY"
        )
    if not path.exists():
        return Line("key", ok=True, seen=f"none yet; the first run will create {path}")
    try:
        key = signing.load(path).verifier.key_id.hex()
    except AssayError as error:
        return Line("key", ok=False, seen=f"{error.what}: {path}", fix=error.fix)
    return Line("key", ok=True, seen=f"{key} in {path}")


def _prefect() -> Line:
    url = server.configured_url()
    if not url:
        return Line(
            "prefect", ok=True, seen="no server configured; runs call their stages directly"
        )
    try:
        address = server.check_answers(url, ANSWER_SECONDS)
    except AssayError as error:
        return Line("prefect", ok=False, seen=f"{error.what} ({error.where})", fix=error.fix)
    return Line("prefect", ok=True, seen=f"{address} answers")


def _names() -> Line:
    seen = "no language model: personal names and places are not detected"
    return Line("names", ok=True, seen=seen)


def _store(store: Path) -> Line:
    place = store.absolute()
    while not place.exists():
        place = place.parent
    ok = os.access(place, os.W_OK | os.X_OK)
    what = "exists" if store.exists() else "will be created"
    if store.is_symlink() or store.exists():
        try:
            Store(store).refuse_foreign()
            with Store(store).opened(make=False):
                pass
        except AssayError as error:
            return Line("store", ok=False, seen=f"{error.what}: {error.where}", fix=error.fix)
    return Line("store", ok, f"{store} {what}", "choose a writable folder with --store")


def _disk(store: Path) -> Line:
    place = store.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    fix = "free some space: a run needs about twice the size of its source"
    return Line("disk", free >= LOW_DISK, f"{free / (1 << 30):.1f} GiB free", fix)
