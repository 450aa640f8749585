"""Scenes of a crash: a store, a command that fails at one write point, and what must hold after it.

The store is looked at from outside, through Assay's commands and the names of its files.
"""

import copy
import dataclasses
import hashlib
import json
import random
import shutil
import time
from pathlib import Path

import write_points
from crash import KILLED

RUN = ("run", "c.yaml", "--source", "b.csv", "--reference", "a.csv", "--direct")
REVIEW = ("review", "1", "--apply", "d.csv")
RELEASE = ("release", "1")
DEAD_RUN = (RUN, "link store/ledger/entries/000000000002")
KEY_ENTRY = "ledger/entries/000000000000."
KINDS = {"runs": ("run", "release"), "reviews": ("review",)}
KEPT = {"lock", "entries", "segments", "checkpoints"}  # what may lie in STORE/ledger
# The checks that take longest and write no more than others do, so that hundreds of runs can die.
OFF = """
customProperties:
  - {property: assay.checks, value: {labels: off, outliers: off, poison: off}}
"""
REFUSALS = {"part": (3, "ASSAY-E005"), "term": (130, "ASSAY-E130")}  # others: the disk is full


@dataclasses.dataclass(frozen=True)
class Operation:
    """A command to fail in, and the commands that make its store.

    `dead`: (words, part of a point's name) of a command killed before that point, as the last step
    of making the store. `like`: an operation whose points before the commit are the same.
    """

    words: tuple
    before: tuple = ()
    dead: tuple = ()
    like: str = ""


OPERATIONS = {
    "run": Operation(RUN, (RUN,)),
    "first run": Operation(RUN, like="run"),
    "run after a kill": Operation(RUN, (RUN,), DEAD_RUN, like="run"),
    "review": Operation(REVIEW, (RUN,)),
    "review after a kill": Operation(REVIEW, (RUN,), DEAD_RUN),
    "release": Operation(RELEASE, (RUN, REVIEW)),
    # one line more for each command that learns to write, such as `ledger compact`
}


@dataclasses.dataclass
class Seen:
    """One attempt: where it failed, how it ended, and what was wrong after it, if anything.

    `ended` is killed, refused or committed; `stands` tells whether its entry is in the ledger.
    """

    point: write_points.Point
    mode: str
    ended: str
    stands: bool
    problems: list


@dataclasses.dataclass(frozen=True)
class Look:
    """A store as it is seen from outside: its entries, its files, what reading commands say."""

    entries: list
    tree: dict
    exists: bool = False
    verified: object = None
    listed: object = None

    @property
    def real(self):
        """Return how many entries are more than the key's."""
        return sum(entry["kind"] != "key" for entry in self.entries)

    @property
    def runs(self):
        """Return the numbers of the runs and releases."""
        return [entry["seq"] for entry in self.entries if entry["kind"] in KINDS["runs"]]

    @property
    def kept(self):
        """Return the digest of every file that an entry accounts for."""
        wanted = {
            f"{folder}/{entry['seq']:012}"
            for entry in self.entries
            for folder, kinds in KINDS.items()
            if entry["kind"] in kinds
        }
        return {
            name: content
            for name, content in self.tree.items()
            if "/".join(name.split(".")[0].split("/")[:2]) in wanted
            or (name.startswith("ledger/") and name.split("/")[1] in KEPT)
        }


class Home:
    """A folder with a contract, sources, decisions, a key and a store."""

    def __init__(self, warm, folder):
        """Write the sources and let `assay init` write the contract."""
        self.warm, self.folder = warm, Path(folder)
        self.store, self.config = self.folder / "store", self.folder / "config"
        self._templates = self.folder / "templates"
        self._templates.mkdir(parents=True)
        self._before, self._seconds, self._points = {}, {}, {}
        rows = _rows(120)
        (self.folder / "a.csv").write_text("\n".join(rows) + "\n")
        rows[5:5] = ["k900,only two"]  # cannot be split
        rows[9:9] = ["k901,many,big,note"]  # cannot be cast
        rows[13:13] = [rows[20]]  # the key comes twice
        (self.folder / "b.csv").write_text("\n".join(rows) + "\n")
        (self.folder / "d.csv").write_text("row,decision,reason\n30,reject,a copy\n")
        init = ["init", "a.csv", "--label", "kind", "--key", "key", "-o", "c.yaml"]
        if (done := self.assay(*init)).code:
            raise RuntimeError(done.errors)
        contract = self.folder / "c.yaml"
        contract.write_text(contract.read_text() + OFF)

    def at(self, store):
        """Return the same home with its store elsewhere."""
        other = copy.copy(self)
        other.store = Path(store)
        return other

    def start(self, *words, env=None, **named):
        """Start a command on this home's store."""
        own = {"ASSAY_STORE": str(self.store), "XDG_CONFIG_HOME": str(self.config),
               "XDG_STATE_HOME": str(self.folder / "state"), "ASSAY_SIGNING_KEY": None,
               "ASSAY_PUBLIC_KEY": None}  # fmt: skip
        return self.warm.start(*words, env=own | (env or {}), cwd=self.folder, **named)

    def assay(self, *words, **named):
        """Run a command to its end."""
        return self.start(*words, **named).wait()

    def take(self, name):
        """Put the store of an operation in place; returns how it looks."""
        template = self._templates / name
        if not template.exists():
            self._make(OPERATIONS[name])
            template.mkdir()
            self._copy(self.folder, template)
            self._before[name] = look(self)
        self._copy(template, self.folder)
        return self._before[name]

    def _make(self, operation):
        for folder in (self.store, self.config, self.folder / "state"):
            shutil.rmtree(folder, ignore_errors=True)
        for words in operation.before:
            done = self.assay(*words)
            if done.number is None:
                raise RuntimeError(done.errors)
        if operation.dead:
            words, where = operation.dead
            self._copy(self.folder, self._templates)
            points = self.assay(*words).points
            self._copy(self._templates, self.folder)
            [point] = [point for point in points if where in str(point)]
            if self.assay(*words, fault=(str(point), "before")).code != KILLED:
                raise RuntimeError(f"not killed at {point}")

    def _copy(self, source, target):
        for name in ("store", "config", "state"):  # the past of the three goes together
            shutil.rmtree(target / name, ignore_errors=True)
            if (source / name).exists():
                shutil.copytree(source / name, target / name)

    def points(self, name):
        """Return the write points of an operation, in order."""
        self.take(name)
        return self.assay(*OPERATIONS[name].words).points

    def own_points(self, name):
        """Return those that are not the same as in the operation that it is like."""
        for one in (name, OPERATIONS[name].like or name):
            if one not in self._points:
                self._points[one] = self.points(one)
        points, like = self._points[name], OPERATIONS[name].like
        same = set(self._points[like]) if like else set()
        return [p for p in points if p not in same or p in commit_of(points)]

    def seconds(self, name):
        """Return how long an operation takes, measured once."""
        if name not in self._seconds:
            self.take(name)
            began = time.monotonic()
            self.assay(*OPERATIONS[name].words)
            self._seconds[name] = time.monotonic() - began
        return self._seconds[name]


def commit_of(points):
    """Return the points from where the ledger is locked to the end."""
    where = [number for number, point in enumerate(points) if point.path == "store/ledger/lock"]
    return points[where[0] :]


def look(home):
    """Look at the store with the commands that only read."""
    if not home.store.exists():
        return Look([], {})
    with_key = (home.config / "assay" / "signing-key.pem").exists()
    log = home.assay("ledger", "log")
    if log.code:
        raise AssertionError(log.errors)
    entries = log.told["entries"]
    # without a key nothing was ever committed, and there is nothing to verify with
    verified = home.assay("verify") if with_key or entries else None
    told = Look(entries, tree_of(home.store), exists=True, verified=verified)
    if told.runs:
        told = dataclasses.replace(told, listed=home.assay("review", "latest", "--list"))
    return told


def attempt(home, name, point, mode, *, turn=0):
    """Fail once at a point of an operation and look at everything that must hold after it."""
    before = home.take(name)
    done = home.assay(*OPERATIONS[name].words, fault=(str(point), mode))
    ended = {KILLED: "killed", 0: "committed", 1: "committed"}.get(done.code, "refused")
    if done.error is None and done.code == 3:  # a check did not run, the verdict says so
        ended = "committed"
    problems = [] if done.is_hit else ["the point was not reached"]
    after = look(home)
    problems += problems_of(before, after, done)
    if ended == "refused":
        problems += refused(before, after, done, REFUSALS.get(mode, (3, "ASSAY-E002")))
    problems += next_works(home, name, after, turn)
    return Seen(point, mode, ended, after.real > before.real, problems)


def at_random(home, name, draw, *, turn=0):
    """Kill an operation at a random time, at times after its end, and look as `attempt` does."""
    seconds = draw.uniform(0, 1.2 * home.seconds(name))
    before = home.take(name)
    started = home.start(*OPERATIONS[name].words)
    time.sleep(seconds)
    started.kill()
    done = started.wait()
    after = look(home)
    problems = problems_of(before, after, done) + next_works(home, name, after, turn)
    ended = "killed" if done.code == KILLED else "committed"
    return Seen(f"after {seconds:.3f} s", "random", ended, after.real > before.real, problems)


def problems_of(before, after, done):
    """Return what is wrong with a store after a command that ended somehow."""
    found = []
    if after.entries[: len(before.entries)] != before.entries:
        found.append("entries changed")
    if after.real > before.real + 1:
        found.append("more than one entry was added")
    if done.number is not None and done.number not in [entry["seq"] for entry in after.entries]:
        found.append(f"the entry {done.number} was acknowledged and is lost")
    if done.error and after.real > before.real:
        found.append(f"an entry was added although the command refused: {done.errors}")
    if after.runs and (after.listed.code, after.listed.told.get("run")) != (0, after.runs[-1]):
        found.append(f"the latest run is {after.runs[-1]}, a reader sees {after.listed.told}")
    return found + faults_of(after, {"ASSAY-L009"})


def faults_of(after, allowed=frozenset()):
    """Return what `assay verify` had against a store; `allowed` are codes of warnings."""
    done = after.verified
    if done is None:
        return []
    codes = {item["code"] for item in done.told.get("warnings", ())} - set(allowed)
    if done.code or done.told["breaks"] or codes:
        return [f"verify says {done.code}: {json.dumps(done.told)[:600]} {done.errors}"]
    return []


def refused(before, after, done, expected):
    """Return what is wrong with a refusal: its code, or anything that it left, changed or took.

    What a dead run left may be swept by a command that then refuses.
    """
    found = []
    if (done.code, done.error) != expected:
        found.append(f"refused with {done.code} {done.error}: {done.errors}")
    new = {name for name, content in after.tree.items() if before.tree.get(name) != content}
    if not before.entries and after.entries:  # a first ledger may begin with the key's entry
        new = {name for name in new if not name.startswith(KEY_ENTRY)}
    lost = {name for name, content in before.kept.items() if after.tree.get(name) != content}
    if not before.entries and not after.entries and after.exists:
        found.append("a store that was made in vain is left")
    if new or lost:
        found.append(f"it left {sorted(new)} and took {sorted(lost)}")
    return found


def next_works(home, name, after, turn=0):
    """Return what is wrong with the next commands: they must commit and leave nothing over.

    By turns the next one is the same again, or a review and then a release: so the number of what
    died is taken by something of another kind, too.
    """
    found, last = [], len(after.entries)
    words = OPERATIONS[name].words
    order = [REVIEW, RELEASE] if after.runs and (turn % 2 or words == REVIEW) else [words]
    for word in order:
        done = home.assay(*word)
        if done.number != max(last, 1):
            found.append(f"the next {word[0]} gave {done.code} {done.number}: {done.errors}")
        last = max(last, 1) + 1
    end = look(home)
    return found + faults_of(end) + leftovers(home, end)


def leftovers(home, end):
    """Return every file that no entry accounts for, and every one that is missing."""
    found = [f"{path} is left" for path in sorted((home.config / "assay").iterdir())
             if path.name != "signing-key.pem"]  # fmt: skip
    found += [f"{name} is left" for name in sorted(end.tree.keys() - end.kept.keys())]
    for folder, kinds in KINDS.items():
        wanted = {f"{entry['seq']:012}" for entry in end.entries if entry["kind"] in kinds}
        place = home.store / folder
        there = {path.stem for path in place.iterdir()} if place.exists() else set()
        found += [f"{folder}/{stem} has no entry" for stem in sorted(there - wanted)]
        found += [f"{folder}/{stem} is gone" for stem in sorted(wanted - there)]
    if (home.store / "staging").exists():
        found.append("the staging folder is left")
    return found


def tree_of(folder):
    """Return the digest of every file below a folder, less the lock and the store's marker."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("lock", "store.json")
    }


def _rows(count):
    draw = random.Random(4)
    rows = ["key,size,kind,note"]
    for number in range(count):
        size = round(draw.gauss(10, 3), 2)
        kind = "big" if size > 10 else "small"
        rows.append(f"k{number:03d},{size},{kind},{draw.choice(['calm', 'warm', 'wet'])}")
    return rows
