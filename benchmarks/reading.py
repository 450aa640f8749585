"""Reading beside its peers: `python benchmarks/reading.py [--rows 1000000] [--times 5]`.

One table of twenty mixed columns as CSV and as Parquet. In turn, each in a new process, imports not
counted: pandas and pyarrow with their defaults; Assay's reading (scan, parse, cast by the contract,
every fault looked for, the file's digest) without the digests of rows and the writing of shards;
and the whole stage as a run's child does it. Medians of seconds, CPU seconds and peak memory beyond
the imports, and ratios to pandas in the same round.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [
    str(ROOT),
    str(ROOT / "tests"),
    str(ROOT / "data_samples"),
    str(ROOT / "benchmarks"),
]

PART = 100_000
PROGRAMS = {
    "pandas": "read_csv, read_parquet",
    "pyarrow": "csv.read_csv, parquet.read_table",
    "Assay, reading": "no row digests, no shards",
    "Assay, whole stage": "snapshot on disk",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measured(*arguments.child)))
        return
    with tempfile.TemporaryDirectory(prefix="assay-reading-") as folder:
        make(Path(folder), arguments.rows)
        for name in ("data.csv", "data.parquet"):
            compare(Path(folder) / name, arguments.times)


def make(folder: Path, rows: int) -> None:
    """Write the table in both formats, and a contract of its types alone."""
    import generate
    import make as samples
    import pyarrow as pa
    import pyarrow.parquet as pq
    from faulty_cells import as_text

    parts = [generate.wide(min(PART, rows), seed)[0] for seed in range(-(-rows // PART))]
    with (folder / "data.csv").open("wb") as file:
        for place, part in enumerate(parts):
            lines = samples.lines_of(as_text(part))
            file.write(b"\n".join(lines[bool(place) :]) + b"\n")
    table = pa.concat_tables(parts)
    pq.write_table(table, folder / "data.parquet", write_page_checksum=True)
    kinds = {"int64": "integer", "double": "number", "date32[day]": "date"}
    lines = [
        f"      - {{name: {f.name}, logicalType: {kinds.get(str(f.type), 'string')}}}"
        for f in table.schema
    ]
    head = ["apiVersion: v3.1.0", "kind: DataContract", "schema:", "  - name: t", "    properties:"]
    (folder / "contract.yaml").write_text("\n".join([*head, *lines, ""]))


def compare(path: Path, times: int) -> None:
    """Run the programs in turn and print their medians."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in PROGRAMS}
    for _ in range(times):
        for name in PROGRAMS:
            words = [sys.executable, __file__, "--child", name, str(path)]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            found[name].append(json.loads(done.stdout.splitlines()[-1]))
    print(f"\n{path.name}, {path.stat().st_size / 1e6:,.0f} MB, medians of {times}")
    print(f"{'':44} {'seconds':>8} {'CPU s':>7} {'MB':>6} {'x pandas':>9} {'CPU x pandas':>13}")
    for name, what in PROGRAMS.items():
        mine = found[name]
        middle = {key: statistics.median(item[key] for item in mine) for key in mine[0]}
        rounds = list(zip(mine, found["pandas"], strict=True))
        ratio = {
            key: statistics.median(own[key] / their[key] for own, their in rounds)
            for key in ("seconds", "cpu")
        }
        print(
            f"{name + ' (' + what + ')':44} {middle['seconds']:8.2f} {middle['cpu']:7.2f} "
            f"{middle['megabytes']:6.0f} {ratio['seconds']:9.2f} {ratio['cpu']:13.2f}"
        )


def measured(name: str, path: str) -> dict[str, float]:
    """Import, then read once; return what the reading took."""
    read = READERS[name](path)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    held, start, before = memory("VmRSS"), time.perf_counter(), time.process_time()
    kept = read()
    seconds, cpu = time.perf_counter() - start, time.process_time() - before
    if kept is None:
        raise SystemExit(f"{name} read nothing")
    return {"seconds": seconds, "cpu": cpu, "megabytes": (memory("VmHWM") - held) / 1024}


def memory(name: str) -> int:
    """Return what the kernel says of this process's memory, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def _pandas(path: str):
    import pandas as pd
    import pyarrow.parquet  # noqa: F401  # which its own reader imports late

    return lambda: pd.read_csv(path) if path.endswith(".csv") else pd.read_parquet(path)


def _pyarrow(path: str):
    import pyarrow.csv
    import pyarrow.parquet

    is_csv = path.endswith(".csv")
    return lambda: pyarrow.csv.read_csv(path) if is_csv else pyarrow.parquet.read_table(path)


def _stage(path: str, *, whole: bool = True):
    import checks.contract.loader
    import provenance.readers.ingest  # noqa: F401
    from pipelines.run import reading
    from provenance.readers import intake

    if not whole:
        intake._write = lambda *_: None  # noqa: SLF001
    contract = Path(path).with_name("contract.yaml")
    checks.contract.loader.load(contract)  # whose own imports are not the reading's
    out = tempfile.mkdtemp(dir=Path(path).parent)
    resource.setrlimit(resource.RLIMIT_AS, (reading.MEMORY, reading.MEMORY))
    return lambda: reading.read_sources(str(contract), [path], [], f"{out}/read")


READERS = {
    "pandas": _pandas,
    "pyarrow": _pyarrow,
    "Assay, reading": lambda path: _stage(path, whole=False),
    "Assay, whole stage": _stage,
}

if __name__ == "__main__":
    main()
