"""What the gate costs before a command starts on a pass that is reused, beside two peers.

python benchmarks/gate.py [--gb 2] [--times 3] [--folder DIR]
The clean dataset is of random bytes. Each round times, one after the other: `sha256sum` of the
clean files, the same in Python alone, `cp` of them, the gate with its private copy, and the gate
with --in-place, whose second look when the command has ended is counted, too. The gate's own start
is told from a dataset of 40 rows, beside the start of Python with pyarrow.parquet and cryptography,
which verifying a ledger cannot do without.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from gated import Home

ASSAY = str(Path(sys.executable).parent / "assay")
PART = 256 << 20  # bytes of a clean file
COLUMNS = 4
PEER, OWN = "python, pyarrow", "gate, 40 rows"
# coreutils may not use the processor's own instructions for SHA-256, as Python and Assay do
HASHLIB = (
    "import hashlib, sys\n"
    "for name in sys.argv[1:]:\n"
    "    with open(name, 'rb') as file:\n"
    "        print(hashlib.file_digest(file, 'sha256').hexdigest())"
)


def large(out, size):
    """Write clean files of random numbers until they have `size` bytes."""
    draw, number = np.random.default_rng(1), 0
    while size > 0:
        number += 1
        rows = min(size, PART) // (8 * COLUMNS)
        columns = {f"n{c}": draw.integers(0, 1 << 62, rows) for c in range(COLUMNS)}
        path = out / "clean" / f"part-{number:05}.parquet"
        pq.write_table(pa.table(columns), path, compression="none", use_dictionary=False)
        size -= path.stat().st_size


def took(command, folder):
    """Run a command; returns its seconds by the wall and by the processor, and MB written."""
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)  # fmt: skip
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[:3]} ended with {process.returncode}")
    wall = time.perf_counter() - began
    return wall, used.ru_utime + used.ru_stime, used.ru_oublock * 512 / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gb", type=float, default=2.0)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--folder", help="where to work; default: the system's temporary folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as work:
        for name in ("CONFIG", "STATE"):
            os.environ[f"XDG_{name}_HOME"] = str(Path(work) / name.lower())
        os.environ.pop("PREFECT_API_URL", None)
        homes = {}
        for name in ("small", "large"):
            (Path(work) / name).mkdir()
            homes[name] = Home(Path(work) / name)
        os.chdir(work)
        homes["small"].passed()
        homes["large"].passed(also=lambda out: large(out, int(given.gb * 1e9)))
        files = sorted(map(str, homes["large"].clean.parent.iterdir()))
        size = sum(Path(path).stat().st_size for path in files)
        commands = {
            "sha256sum": ["sha256sum", *files],
            "hashlib": [sys.executable, "-c", HASHLIB, *files],
            "cp and rm": [
                "sh",
                "-c",
                'mkdir c && cp --reflink=never "$@" c && rm -r c',
                "sh",
                *files,
            ],
            PEER: [sys.executable, "-c", "import pyarrow.parquet, cryptography"],
            OWN: [ASSAY, *homes["small"].words(command=["true"])],
            "gate, private copy": [ASSAY, *homes["large"].words(command=["true"])],
            "gate --in-place": [ASSAY, *homes["large"].words("--in-place", command=["true"])],
        }
        rounds = {name: [] for name in commands}
        took(commands["sha256sum"], work)  # into the page cache as far as there is room
        for _ in range(given.times):
            for name, command in commands.items():
                home = homes["small" if name == OWN else "large"]
                rounds[name].append(took(command, home.folder))
        if any(len(home.store.runs()) != 1 for home in homes.values()):
            raise SystemExit("a pass was not reused: was Assay's code edited meanwhile?")
    tell(rounds, size, len(files), given.times)
    return 0


def tell(rounds, size, count, times):
    """Print medians, and each beside sha256sum."""
    print(f"{size / 1e9:.2f} GB in {count} clean files, medians of {times}")
    plain = statistics.median(wall for wall, _, _ in rounds["sha256sum"])
    for name, seen in rounds.items():
        wall, used, written = (statistics.median(column) for column in zip(*seen, strict=True))
        print(
            f"{name:<20} {wall:6.2f} s, {used:6.2f} CPU s, {written:8.1f} MB written, "
            f"{wall / plain:.2f} x sha256sum"
        )
    peer, own = (statistics.median(wall for wall, _, _ in rounds[name]) for name in (PEER, OWN))
    print(f"the gate's own start takes {own / peer:.1f} x that of Python with what it needs")


if __name__ == "__main__":
    sys.exit(main())
