"""Identifies the code that runs: Assay's version, a digest of its modules, and the libraries."""

import contextlib
import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path

PACKAGES = ("provenance", "checks", "pipelines")


def facts() -> dict[str, str]:
    """Return the version of Assay and the digest of its own modules."""
    from importlib import metadata

    return {"version": metadata.version("assay"), "sha256": sha256()}


def sha256() -> str:
    """Return the digest of Assay's own modules, in hex."""
    root = Path(__file__).parents[2]
    paths = sorted(path for name in PACKAGES for path in (root / name).rglob("*.py"))
    lines = (
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(root)}"
        for path in paths
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def versions(libraries: Iterable[str]) -> list[str]:
    """Return the version of Python, and that of each library that is installed."""
    from importlib import metadata

    found = [sys.version]
    for name in libraries:
        with contextlib.suppress(metadata.PackageNotFoundError):  # an extra that is not installed
            found.append(f"{name} {metadata.version(name)}")
    return found
