"""Read bad files one by one, each in a process of its own, forked when everything is imported.

`python reader.py FOLDER [USER ID]`: for each case, FOLDER/NNN holds what it made; one JSON object a
case goes to stdout: what came of it, seconds and megabytes beyond what was there before. With a
user id the reading is done as that user, which only root can ask for.
"""

import codecs
import dataclasses
import json
import os
import resource
import sys
import time
import traceback
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

import pyarrow as pa
from bad_files import parquets, paths, texts, values
from bad_files.kind import Bad

from pipelines.run import reading, request
from provenance.base.errors import AssayError

SECONDS = 120  # after which a reading counts as hanging
MEGABYTE = 1 << 20


@dataclasses.dataclass(frozen=True)
class Found:
    """What came of one case."""

    name: str
    error: dict[str, str] | None
    trace: str
    seconds: float
    megabytes: float
    folder: str


def all_cases() -> list[Bad]:
    """Return every case, in order."""
    found = [*texts.cases(), *values.cases(), *parquets.cases(), *paths.cases()]
    names = [case.name for case in found]
    assert len(names) == len(set(names)), sorted(n for n in names if names.count(n) > 1)
    return found


def prepared(folder: Path, number: int, case: Bad) -> tuple[str, Path, Path]:
    """Make a case's files; return its source, contract and the folder for what is read."""
    home = folder / f"{number:03}"
    made, out = home / "made", home / "out"
    for path in (home, made, out):
        path.mkdir(mode=0o755)
    (home / "contract.yaml").write_text(case.contract)
    return case.make(made), home / "contract.yaml", out


def read(folder: Path, number: int, case: Bad, user: int | None) -> Found:
    """Make a case and read it in a child; the child's rights and memory are its own."""
    source, contract, out = prepared(folder, number, case)
    if user is not None:
        os.chown(out, user, user)
    answers, answer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(answers)
        told = json.dumps(_in_child(source, contract, out, user)).encode()
        while told:
            told = told[os.write(answer, told) :]
        os._exit(0)
    os.close(answer)
    with os.fdopen(answers, "rb") as stream:
        text = stream.read()
    os.waitpid(child, 0)
    died = {"error": {"code": "died", "message": "", "where": "", "fix": ""}, "trace": "",
            "seconds": 0.0, "megabytes": 0.0}  # fmt: skip
    return Found(case.name, folder=str(out / "read"), **(json.loads(text) if text else died))


def _in_child(source: str, contract: Path, out: Path, user: int | None) -> dict[str, object]:
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = _memory("VmRSS")
    if user is not None:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    resource.setrlimit(resource.RLIMIT_AS, (reading.MEMORY, reading.MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    error, trace, start = None, "", time.perf_counter()
    try:
        files = request.expand(source)
        reading.read_sources(str(contract), files, [], str(out / "read"))
    except AssayError as refused:
        error = refused.as_dict()
    except BaseException:  # noqa: BLE001  # whatever else comes out is what the test is after
        error = {"code": "crashed", "message": "", "where": "", "fix": ""}
        trace = traceback.format_exc()
    seconds = time.perf_counter() - start
    grown = (_memory("VmHWM") - before) / 1024
    return {"error": error, "trace": trace, "seconds": seconds, "megabytes": grown}


def _memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def main() -> None:
    """Read all cases and print what came of each."""
    folder = Path(sys.argv[1])
    user = int(sys.argv[2]) if len(sys.argv) > 2 else None
    pa.set_cpu_count(2)
    _warm(folder)
    for number, case in enumerate(all_cases()):
        print(json.dumps(dataclasses.asdict(read(folder, number, case, user))), flush=True)


def _warm(folder: Path) -> None:
    """Import what a first reading imports, so that the children need not and may not."""
    import duckdb  # noqa: F401
    import pyarrow.parquet.encryption  # noqa: F401

    for encoding in (*texts.WIDE, "utf-32-be", "cp1252", "latin-1", "cp437"):
        codecs.lookup(encoding)  # each is a module of its own

    text, made = values.as_csv(values.cells()), parquets.saved(parquets.table())
    for number, (name, data) in enumerate([("a.csv", text), ("b.parquet", made)]):
        case = Bad("warm", "", "accepted", values.file(name, data))
        source, contract, out = prepared(folder, 990 + number, case)
        reading.read_sources(str(contract), [source], [], str(out / "read"))


if __name__ == "__main__":
    main()
