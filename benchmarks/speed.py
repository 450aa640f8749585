"""Every speed figure in one table, each beside its peer: `make speed`, or

    python -P benchmarks/speed.py [--times 5] [--only ROWS...] [--wide] [--against DIR]

Whole processes, imports included, in turn: the peer, this version and, with --against, the version
in DIR (its own `.venv/bin/assay`, else its code under this Python). Medians of --times rounds; CPU
seconds are user and system of all processes, peak memory the largest sum of proportional set sizes,
seen ten times a second. Each version has keys, stores and caches of its own. `imports` is a Python
that imports pyarrow and cryptography and ends; `glue` is benchmarks/glue.py on the same table. Of
the bad inputs (tests/bad_files), each version refuses each once, and the median is over them.
"""

import argparse
import dataclasses
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow.csv as pc

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT), str(HERE), str(ROOT / "tests")]

import columns  # noqa: E402
import compare  # noqa: E402
import generate  # noqa: E402
import prefect_overhead  # noqa: E402

EVERY = 0.1  # seconds between two looks at memory
JUDGED = (0, 1)  # exit codes of a run that examined everything
REFUSED = (2, 3)
IMPORTS = [sys.executable, "-c", "import pyarrow.parquet, cryptography"]
HEAD = ("figure", "program", "CPU s", "wall s", "peak MB", "CPU, times the peer's", "load")
FOREIGN = ("PREFECT", "ASSAY_", "OPENLINEAGE", "XDG_")  # settings of the user that change a run


class Cost(NamedTuple):
    """What a command took, its children included."""

    cpu: float  # seconds
    wall: float  # seconds
    peak: float  # megabytes


@dataclasses.dataclass(frozen=True)
class Version:
    """A version of Assay: how it is started, and a folder of its own."""

    name: str
    command: list[str]
    environment: dict[str, str]
    home: Path

    def run(self, words: list[str], cache: Path, codes: tuple[int, ...] = JUDGED) -> Cost:
        """Measure a command of this version."""
        environment = self.environment | {"XDG_CACHE_HOME": str(cache)}
        return measured([*self.command, *words], self.home, environment, codes)


class Row(NamedTuple):
    """A line of the table: a run of Assay on a table.

    Attributes:
        title: what is measured.
        table: writes `data.csv` into an empty folder, and maybe `contract.yaml`.
        label: words of `init` that propose the contract where the table has none.
        peer: what it is compared with.
        is_fresh: whether each round has a store and a cache folder that did not exist before.
        how: option of the run.
    """

    title: str
    table: Callable[[Path], object]
    label: tuple[str, ...] = ()
    peer: str = "imports"
    is_fresh: bool = True
    how: str = "--direct"


def measured(
    command: list[str], folder: Path, environment: dict[str, str], codes: tuple[int, ...]
) -> Cost:
    """Run a command in a folder and return what it took; end here if it exits with another code."""
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        child = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
        seen, has_ended = [0], threading.Event()
        watch = threading.Thread(target=_watch, args=(child.pid, seen, has_ended))
        watch.start()
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        has_ended.set()
        watch.join()
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode not in codes:
            said.seek(0)
            text = said.read().decode(errors="replace")
            sys.exit(f"{shlex.join(command)} ended with {child.returncode}\n{text[-4000:]}")
    return Cost(used.ru_utime + used.ru_stime, wall, max(seen) / 1024)


def _watch(pid: int, seen: list[int], has_ended: threading.Event) -> None:
    while not has_ended.is_set():
        seen.append(compare.kilobytes(pid))
        has_ended.wait(EVERY)


def _small(folder: Path) -> None:
    prefect_overhead.table(folder / "data.csv")


def _middle(folder: Path) -> None:
    table = generate.wide(8_000, 3).table
    pc.write_csv(table.drop_columns(["queue_code", "region"]), folder / "data.csv")


def _sample(folder: Path) -> None:
    shutil.copytree(ROOT / "data_samples", folder, dirs_exist_ok=True)
    (folder / "loans.csv").rename(folder / "data.csv")


def _large(folder: Path) -> None:
    generate.generate(folder, 50_000, seed=1)


def _wide(folder: Path) -> None:
    pc.write_csv(columns.table(2_000, 5_000, 1), folder / "data.csv")


SPECIES = ("--label", "species")
LOAN = ("--label", "defaulted", "--key", "loan_id")
ROWS = {
    "new": Row("344 x 7, new contract", _small, SPECIES),
    "known": Row("344 x 7, known contract", _small, SPECIES, is_fresh=False),
    "flow": Row("344 x 7, `--flow`", _small, SPECIES, is_fresh=False, how="--flow"),
    "8000": Row("8,000 x 18", _middle, LOAN, "glue"),
    "sample": Row("sample, 20,000 x 15", _sample),
    "50000": Row("50,000 x 20", _large, peer="glue"),
    "demo": Row("sample, `--flow` (`make demo`, warm)", _sample, is_fresh=False, how="--flow"),
    "wide": Row("5,000 x 2,000", _wide, ("--label", "label")),
}
SPECIAL = ("gate", "refused")
OPTIONAL = ("wide",)  # takes minutes


class Bench:
    """The versions, and the tables that they share."""

    def __init__(self, work: Path, other: Path | None) -> None:
        """Find the versions; `other` is the folder of the second, if any."""
        self.work = work
        self.versions = [_version("this", ROOT, work / "this")]
        if other:
            self.versions.append(_version(str(other), other.absolute(), work / "other"))
        self.tables: dict[Callable[[Path], object], Path] = {}

    def data(self, table: Callable[[Path], object]) -> Path:
        """Return the folder of a table, which is made once."""
        if table not in self.tables:
            self.tables[table] = Path(tempfile.mkdtemp(dir=self.work, prefix="data-"))
            table(self.tables[table])
        return self.tables[table]

    def contract(self, version: Version, row: Row) -> Path:
        """Return the contract of a row's table: the table's own, or what the version proposes."""
        data = self.data(row.table)
        if (given := data / "contract.yaml").exists():
            return given
        if not (path := version.home / f"{data.name}.yaml").exists():
            words = ["init", str(data / "data.csv"), *row.label, "-o", str(path)]
            version.run(words, version.home / "cache")
        return path

    def row(self, row: Row, times: int) -> dict[str, list[Cost]]:
        """Measure a run in turn with its peer; a store that is kept is first filled once."""
        seen: dict[str, list[Cost]] = {}
        for number in range(0 if row.is_fresh else -1, times):
            costs = {row.peer: self.peer(row)} if number >= 0 else {}
            for version in self.versions:
                costs[version.name] = self.once(version, row)
            for name, cost in costs.items():
                seen.setdefault(name, []).extend([cost] if number >= 0 else [])
        return {name: seen[name] for name in (row.peer, *(v.name for v in self.versions))}

    def once(self, version: Version, row: Row) -> Cost:
        """Measure one run of a version."""
        source, contract = self.data(row.table) / "data.csv", str(self.contract(version, row))
        words = ["run", contract, "--source", str(source), row.how, "--store"]
        if not row.is_fresh:
            store = version.home / f"store-{source.parent.name}"
            return version.run([*words, str(store)], version.home / "cache")
        with tempfile.TemporaryDirectory(dir=version.home) as scratch:
            return version.run([*words, f"{scratch}/store"], Path(scratch) / "cache")

    def peer(self, row: Row | None = None) -> Cost:
        """Measure the peer of a row once."""
        with tempfile.TemporaryDirectory(dir=self.work) as scratch:
            command = IMPORTS
            if row and row.peer == "glue":
                glue = [sys.executable, str(HERE / "glue.py"), str(self.data(row.table))]
                command = [*glue, "--out", scratch]
            return measured(command, Path(scratch), dict(os.environ), (0,))

    def gate(self, times: int) -> dict[str, list[Cost]]:
        """Measure the gate with `true` on data that passed before."""
        data = self.data(_passing)
        source, contract = str(data / "data.csv"), str(data / "contract.yaml")
        seen: dict[str, list[Cost]] = {"imports": []} | {v.name: [] for v in self.versions}
        for number in range(-1, times):  # the first round examines the data
            if number >= 0:
                seen["imports"].append(self.peer())
            for version in self.versions:
                words = ["gate", contract, "--source", source, "--store", "gate", "--", "true"]
                cost = version.run(words, version.home / "cache", (0,))
                seen[version.name] += [cost] if number >= 0 else []
        return seen

    def refused(self, how: str) -> dict[str, list[Cost]]:
        """Measure the refusal of each bad input that is refused when it is read."""
        seen: dict[str, list[Cost]] = {"imports": []} | {v.name: [] for v in self.versions}
        for source, contract in self.bad():
            seen["imports"].append(self.peer())
            for version in self.versions:
                words = ["run", str(contract), "--source", source, how, "--store", "bad"]
                cost = version.run(words, version.home / "cache", REFUSED)
                seen[version.name].append(cost)
        return seen

    def bad(self) -> Iterator[tuple[str, Path]]:
        """Yield the source and the contract of each, one at a time: some are large."""
        from bad_files import reader

        for number, case in enumerate(reader.all_cases()):
            if case.fate == "refused" and (os.geteuid() or not case.user):
                with tempfile.TemporaryDirectory(dir=self.work) as scratch:
                    yield reader.prepared(Path(scratch), number, case)[:2]


def _passing(folder: Path) -> None:
    """Write the clean sample with its contract and its reference, which pass."""
    _sample(folder)
    (folder / "loans_clean.csv").rename(folder / "data.csv")


def _version(name: str, checkout: Path, home: Path) -> Version:
    """Return a version that starts as its user starts it; ends here if it is none."""
    home.mkdir()
    kept = {key: text for key, text in os.environ.items() if not key.startswith(FOREIGN)}
    kept |= {f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("CONFIG", "STATE")}
    if (script := checkout / ".venv" / "bin" / "assay").exists():
        return Version(name, [str(script)], kept, home)
    if not (checkout / "pipelines" / "cli.py").exists():
        sys.exit(f"{checkout} holds neither .venv/bin/assay nor pipelines/cli.py")
    command = [sys.executable, "-P", "-m", "pipelines.cli"]
    return Version(name, command, kept | {"PYTHONPATH": str(checkout)}, home)


def lines(title: str, seen: dict[str, list[Cost]], load: float) -> Iterator[str]:
    """Yield the lines of a figure: its programs, the peer first."""
    middle = {
        name: Cost(*map(statistics.median, zip(*costs, strict=True)))
        for name, costs in seen.items()
    }
    peer = next(iter(middle.values()))
    for name, cost in middle.items():
        figures = [f"{cost.cpu:.2f}", f"{cost.wall:.2f}", f"{cost.peak:,.0f}"]
        cells = [title, name, *figures, f"{cost.cpu / peer.cpu:.2f}", f"{load:.1f}"]
        yield f"| {' | '.join(cells)} |"


def table(bench: Bench, names: list[str], times: int) -> Iterator[str]:
    """Yield the table, each line as soon as it is known."""
    yield f"| {' | '.join(HEAD)} |"
    yield "|" + "---|" * len(HEAD)
    for name in names:
        load = os.getloadavg()[0]
        if name == "gate":
            yield from lines("gate, data judged before", bench.gate(times), load)
        elif name == "refused":
            for how in ("--direct", "--flow"):
                seen = bench.refused(how)
                title = f"refusal, `{how}`, {len(seen['imports'])} bad inputs"
                yield from lines(title, seen, load)
        else:
            yield from lines(ROWS[name].title, bench.row(ROWS[name], times), load)


def main(arguments: list[str] | None = None) -> None:
    """Measure the rows that are asked for and print them."""
    parser = argparse.ArgumentParser(description="Every speed figure, each beside its peer.")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=[*ROWS, *SPECIAL], metavar="ROW")
    parser.add_argument("--wide", action="store_true", help="5,000 x 2,000, too: minutes")
    parser.add_argument("--against", type=Path, metavar="DIR", help="checkout of another version")
    given = parser.parse_args(arguments)
    names = given.only or [n for n in (*ROWS, *SPECIAL) if given.wide or n not in OPTIONAL]
    print(f"medians of {given.times} rounds, {os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory(prefix="assay-speed-") as work:
        for line in table(Bench(Path(work), given.against), names, given.times):
            print(line, flush=True)


if __name__ == "__main__":
    main()
