"""The engines beside each other: `python benchmarks/engines.py [--shards 8] [--rows 500000]`.

Checks that cost something for each row are fitted and scored over the same shards by the serial
engine, the pool of processes and Dask with local workers; once more with a Dask worker killed on
the way. Prints for each the seconds, without the start of the workers, which stand beside; the CPU
seconds of all its processes, and of this one with its busiest worker, which is what would be waited
for on a machine that does nothing else; and whether the findings are equal.
"""

import argparse
import hashlib
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "data_samples"), str(ROOT / "benchmarks")]
CHECKS = ("drift", "pii", "values")  # whose cost is in their rows, not in one model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--rows", type=int, default=500_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="assay-engines-") as folder:
        refs, context = made(Path(folder), arguments.shards, arguments.rows)
        cores = len(os.sched_getaffinity(0))
        print(f"{arguments.shards} shards of {arguments.rows:,} rows, {cores}"
              f" cores, checks {', '.join(CHECKS)}")  # fmt: skip
        print(f"{'engine':24} {'seconds':>8} {'x serial':>9} {'started':>8} {'CPU':>7}"
              f" {'longest':>8} {'x serial':>9}  findings")  # fmt: skip
        first = None
        for name in ("serial", "processes", "dask", "dask, a worker killed"):
            took, started, cpu, seen = run(
                name, refs, context, Path(folder) / name.replace(",", "")
            )
            own, workers = cpu
            longest = own + max(workers, default=0.0)
            first = first or (took, longest)
            print(f"{name:24} {took:8.1f} {first[0] / took:9.2f} {started:8.1f}"
                  f" {own + sum(workers):7.1f} {longest:8.1f} {first[1] / longest:9.2f}  {seen}",
                  flush=True)  # fmt: skip


def run(name, refs, context, folder):
    """Examine the shards.

    Returns:
        Seconds; those of the start; CPU seconds of this process and of each worker that still
        lives; and a digest of what was found.
    """
    from checks.kit import registry
    from pipelines.checking import engine
    from pipelines.checking.examine import examine

    folder.mkdir()
    chosen = engine.make(name.partition(",")[0], 1, scratch=folder, timeout=3_600.0)
    start = time.perf_counter()
    chosen.map(abs, range(8))
    started = time.perf_counter() - start
    before, own = children(), time.process_time()
    every = registry.load()
    registry.load = lambda: {kind: every[kind] for kind in CHECKS}
    if "killed" in name:
        threading.Timer(5.0, kill, [chosen]).start()
    try:
        start = time.perf_counter()
        done = examine(context, refs, chosen, folder)
        took = time.perf_counter() - start
        used = [cpu - before.get(pid, 0.0) for pid, cpu in children().items()]
        cpu = time.process_time() - own, used
    finally:
        chosen.close()
        registry.load = lambda: every
    if done.faults:
        raise SystemExit(f"{name}: {next(iter(done.faults.values())).why}")
    seen = hashlib.sha256(repr(done.found.to_pydict()).encode()).hexdigest()[:12]
    return took, started, cpu, f"{len(done.found):,} ({seen})"


def children() -> dict[int, float]:
    """Return the CPU seconds of the processes that this one has started and that still live."""
    tick, found = os.sysconf("SC_CLK_TCK"), {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        if int(fields[1]) == os.getpid():
            found[int(path.parent.name)] = sum(map(int, fields[11:13])) / tick
    return found


def kill(chosen) -> None:
    """End one of the workers at once."""
    worker = next(iter(chosen._client.run(os.getpid).values()))  # noqa: SLF001
    os.kill(worker, signal.SIGKILL)
    print(f"  killed worker {worker}", file=sys.stderr)


def made(folder: Path, shards: int, rows: int):
    """Write the shards, and return them with the context of a contract and a reference."""
    import generate

    from checks.kit.contract_model import Column, Contract
    from checks.kit.protocol import Context
    from provenance.rows import digest
    from provenance.rows.column_types import ColumnSpec
    from provenance.rows.shards import Shard, write_shard

    refs = []
    for number in range(shards):
        table, _ = generate.wide(rows, number)
        import numpy as np

        ordinals = np.arange(number * rows, (number + 1) * rows)
        refs.append(write_shard(folder, Shard(number, table, ordinals, digest.of_rows(table))))
    kinds = {"int64": "integer", "double": "number", "date32[day]": "date"}
    columns = tuple(
        Column(
            ColumnSpec(field.name, kinds.get(str(field.type), "string")),
            frozenset({"text"} if field.name in ("note", "remark") else ()),
        )
        for field in table.schema
    )
    contract = Contract("engines", "1", "contract.yaml", "0", columns)
    reference = generate.wide(100_000, 99)[0]
    return refs, Context(contract, table.schema, shards * rows, reference)


if __name__ == "__main__":
    main()
