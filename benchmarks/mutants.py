"""How many small faults, planted one at a time in the product, the tests catch.

    python benchmarks/mutants.py [--count N] [--seed N] [--out FILE] [--minutes M] [--beside FILE]

Run it in a clean clone of its own, by that clone's Python: it changes the files of the product in
place, one fault at a time, and puts each back. The faults are drawn by seed over all three floors:
a changed comparison, an inverted condition, `and` for `or`, a number one higher, a dropped
statement. Each is tried against the tests of its room: those that name the changed module, then
those that name a module which imports it, then those that name its room, at most M minutes in all.
FILE gets one line of JSON per fault. Exits with 1 if the clone has changes of its own.

To compare two states of the tests, give a clone with the same product and the other tests the same
seed and the first one's FILE as --beside: a fault is then tried first against the test that caught
it there.
"""

import argparse
import ast
import collections
import contextlib
import itertools
import json
import random
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FLOORS = ("provenance", "checks", "pipelines")
UNKNOWN = 4  # pytest's exit code for a test that is not in this clone
SWAPS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--out", type=Path, default=Path("mutants.jsonl"))
    parser.add_argument("--beside", type=Path)
    given = parser.parse_args()
    tracked = ["git", "status", "--porcelain", "--untracked-files=no", "--", *FLOORS]
    if subprocess.run(tracked, cwd=ROOT, check=True, capture_output=True).stdout:
        sys.exit("the product has changes that are not committed: run this in a clean clone")
    caught = 0
    drawn = list(draw(given.count, given.seed))
    catchers = caught_by(given.beside) if given.beside else {}
    with given.out.open("a") as out:
        for number, (path, line, kind, changed) in enumerate(drawn, 1):
            start = time.monotonic()
            first = catchers.get((path, line, kind))
            by = tried(path, changed, first, seconds=given.minutes * 60)
            caught += by is not None
            spent = round(time.monotonic() - start)
            told = {"path": path, "line": line, "kind": kind, "by": by, "seconds": spent}
            print(json.dumps(told), file=out, flush=True)
            print(f"{number}/{given.count} {path}:{line} {kind}: {by or 'SURVIVED'} ({spent} s)")
    print(f"{caught} of {len(drawn)} caught")


def draw(count, seed):
    """Yield (path, line, kind, changed text) of faults, the floors in turn."""
    rng = random.Random(seed)  # noqa: S311 - a draw, not a secret
    taken = set()
    while len(taken) < count:
        floor = ROOT / FLOORS[len(taken) % len(FLOORS)]
        path = rng.choice(sorted(p for p in floor.rglob("*.py") if len(p.read_text()) > 400))
        faults = list(faults_in(path.read_text()))
        if not faults:
            continue
        line, kind, changed = rng.choice(faults)
        where = (str(path.relative_to(ROOT)), line, kind)
        if where not in taken:
            taken.add(where)
            yield (*where, changed)


def faults_in(text):
    """Yield (line, kind, changed text) for each fault that one place of the text can take."""
    tree = ast.parse(text)
    for parent in ast.walk(tree):
        for node in ast.iter_child_nodes(parent):
            if isinstance(
                parent, ast.FunctionDef | ast.AsyncFunctionDef | ast.If | ast.For | ast.With
            ):
                yield from dropped(text, parent, node)
            yield from replaced(text, node)


def dropped(text, parent, node):
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    is_statement = isinstance(node, ast.Expr | ast.AugAssign | ast.Raise) and not is_docstring
    if is_statement and node in getattr(parent, "body", ()):
        yield node.lineno, "dropped statement", spliced(text, node, "pass")


def replaced(text, node):
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in SWAPS:
        swapped = ast.Compare(node.left, [SWAPS[type(node.ops[0])]()], node.comparators)
        yield node.lineno, "changed comparison", spliced(text, node, f"({ast.unparse(swapped)})")
    elif isinstance(node, ast.BoolOp):
        other = ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        yield node.lineno, "and for or", spliced(text, node, f"({ast.unparse(other)})")
    elif isinstance(node, ast.If | ast.IfExp):
        inverted = f"(not ({ast.unparse(node.test)}))"
        yield node.test.lineno, "inverted condition", spliced(text, node.test, inverted)
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        yield node.lineno, "number one higher", spliced(text, node, repr(node.value + 1))


def spliced(text, node, new):
    """Return the text with a node's own characters replaced; columns count bytes of UTF-8."""
    lines = [line.encode() for line in text.splitlines(keepends=True)]
    start = sum(map(len, lines[: node.lineno - 1])) + node.col_offset
    end = sum(map(len, lines[: node.end_lineno - 1])) + node.end_col_offset
    whole = text.encode()
    return (whole[:start] + new.encode() + whole[end:]).decode()


def caught_by(path):
    """Return the test that caught each fault of an earlier run."""
    told = map(json.loads, path.read_text().splitlines())
    return {
        (item["path"], item["line"], item["kind"]): item["by"].split()[1].split("[")[0]
        for item in told
        if "::" in (item["by"] or "")
    }


def tried(path, changed, first=None, *, seconds):
    """Plant a fault; return what caught it: a test, or that the file does not parse; else None.

    Args:
        path: of the file, below the root.
        changed: its text with the fault.
        first: a test to try first.
        seconds: to give up after.
    """
    try:
        compile(changed, path, "exec")
    except SyntaxError:
        return "syntax"
    until = time.monotonic() + seconds
    with planted(ROOT / path, changed):
        for tests in itertools.chain([[first]] if first else [], tests_of(path)):
            left = until - time.monotonic()
            if left < 1:
                return None
            command = [sys.executable, "-P", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider",
                       "-m", "not long", "--timeout", "300", *tests]  # fmt: skip
            try:
                done = subprocess.run(
                    command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=left
                )
            except subprocess.TimeoutExpired:
                return None
            if done.returncode == UNKNOWN and tests == [first]:
                continue
            if done.returncode not in (0, 5):
                failed = [
                    ln for ln in done.stdout.splitlines() if ln.startswith(("FAILED", "ERROR"))
                ]
                return failed[0][:160] if failed else f"exit {done.returncode}"
    return None


@contextlib.contextmanager
def planted(path, changed):
    before = path.read_bytes()
    path.write_text(changed)
    try:
        yield
    finally:
        path.write_bytes(before)


def tests_of(path):
    """Yield lists of test files, nearest first: of the module, of its importers, of its room."""
    module = of(ROOT / path)
    room = module.rpartition(".")[0] if module.count(".") > 1 else module
    tests = {p: named(p) for p in sorted((ROOT / "tests").rglob("test_*.py"))}
    importers = {
        of(p) for floor in FLOORS for p in (ROOT / floor).rglob("*.py") if module in named(p)
    }
    done = set()
    for names in ({module}, importers, {room}):
        chosen = [
            str(p)
            for p, known in tests.items()
            if p not in done
            and any(
                n in known or (n == room and any(k.startswith(n) for k in known)) for n in names
            )
        ]
        done.update(map(Path, chosen))
        if chosen:
            yield chosen


def of(path):
    return (
        str(path.relative_to(ROOT)).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    )


def named(path, known=collections.defaultdict(set)):  # noqa: B006 - each file is parsed once
    """Return the modules of the product that a file imports, at its top or within."""
    if path not in known:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                known[path].update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                known[path].add(node.module)
                known[path].update(f"{node.module}.{alias.name}" for alias in node.names)
    return known[path]


if __name__ == "__main__":
    main()
