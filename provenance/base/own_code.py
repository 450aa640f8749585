"""Identifies the code that runs: the version of Assay and a digest of its own modules."""

import hashlib
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
