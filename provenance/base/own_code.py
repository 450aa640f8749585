"""Which code runs: the version of Assay and a digest of its own modules."""

import hashlib
from importlib import metadata
from pathlib import Path

PACKAGES = ("provenance", "checks", "pipelines")


def facts() -> dict[str, str]:
    """Return the version of Assay and the digest of its own modules."""
    root = Path(__file__).parents[2]
    paths = sorted(path for name in PACKAGES for path in (root / name).rglob("*.py"))
    listed = "\n".join(f"{_sha256(path)}  {path.relative_to(root)}" for path in paths)
    return {
        "version": metadata.version("assay"),
        "sha256": hashlib.sha256(listed.encode()).hexdigest(),
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
