"""Scenes of a crash: a store, a command that fails at one write point, and what must hold after it.

The store is looked at from outside, through Assay's commands and the names of its files.
"""

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
ENTRY = "link store/ledger/entries/"  # what commits: a point at or after it may have committed
KINDS = {"runs": ("run", "release"), "reviews": ("review",)}
KEY_ENTRY = "ledger/entries/000000000000."
REFUSALS = {"part": (3, "ASSAY-E005"), "term": (130, "ASSAY-E130")}  # others: the disk is full
KEPT = {"lock", "entries", "segments", "checkpoints"}  # what may lie in STORE/ledger


@dataclasses.dataclass(frozen=True)
class Operation:
    """A command to fail in, the commands that make its store, and what shall work afterwards.

    `dead`: (words, part of a point's name) of a command killed before that point, as the last step
    of making the store.
    """

    words: tuple
    before: tuple = ()
    dead: tuple = ()


OPERATIONS = {
    "first run": Operation(RUN),
    "run": Operation(RUN, (RUN,)),
    "run after a kill": Operation(RUN, (RUN,), (RUN, f"{ENTRY}000000000002")),
    "review": Operation(REVIEW, (RUN,)),
    "review after a kill": Operation(REVIEW, (RUN,), (RUN, f"{ENTRY}000000000002")),
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


class Home:
    """A folder with a contract, sources, decisions, a key and a store."""

    def __init__(self, warm, folder):
        """Write the sources and let `assay init` write the contract."""
        self.warm, self.folder = warm, Path(folder)
        self.store, self.config = self.folder / "store", self.folder / "config"
        self._templates = self.folder / "templates"
        self._templates.mkdir(parents=True)
        self._seconds = {}
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

    def start(self, *words, store=None, **named):
        """Start a command on this home's store, or on another."""
        env = {"ASSAY_STORE": str(store or self.store), "XDG_CONFIG_HOME": str(self.config),
               "ASSAY_SIGNING_KEY": None, "ASSAY_PUBLIC_KEY": None}  # fmt: skip
        return self.warm.start(*words, env=env, cwd=self.folder, **named)

    def assay(self, *words, **named):
        """Run a command to its end."""
        return self.start(*words, **named).wait()

    def take(self, name):
        """Put the store of an operation in place, made when it is first asked for."""
        template = self._templates / name
        if not template.exists():
            self._make(OPERATIONS[name])
            template.mkdir()
            self._copy(self.folder, template)
        self._copy(template, self.folder)

    def _make(self, operation):
        for folder in (self.store, self.config):
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
        for name in ("store", "config"):
            shutil.rmtree(target / name, ignore_errors=True)
            if (source / name).exists():
                shutil.copytree(source / name, target / name)

    def points(self, name):
        """Return the write points of an operation."""
        self.take(name)
        return self.assay(*OPERATIONS[name].words).points

    def seconds(self, name):
        """Return how long an operation takes, measured once."""
        if name not in self._seconds:
            self.take(name)
            began = time.monotonic()
            self.assay(*OPERATIONS[name].words)
            self._seconds[name] = time.monotonic() - began
            self.take(name)
        return self._seconds[name]

    def entries(self):
        """Return what `assay ledger log` tells of each entry; none where there is no store."""
        if not self.store.exists():
            return []
        return self.assay("ledger", "log").told["entries"]

    def has_key(self):
        """Return whether there is a key, without which nothing was ever committed."""
        return (self.config / "assay" / "signing-key.pem").exists()


def attempt(home, name, point, mode, *, turn=0):
    """Fail once at a point of an operation and look at everything that must hold after it.

    With an odd `turn` the next command is a review, so that the number of a run that died is
    taken by something else than a run.
    """
    home.take(name)
    before = home.entries()
    tree, kept = tree_of(home.store), kept_of(home, before)
    done = home.assay(*OPERATIONS[name].words, fault=(str(point), mode))
    ended = {KILLED: "killed", 0: "committed", 1: "committed"}.get(done.code, "refused")
    if done.error is None and done.code == 3:  # a check did not run, the verdict says so
        ended = "committed"
    problems = [] if done.is_hit else ["the point was not reached"]
    now = home.entries()
    problems += problems_of(home, before, now, done)
    if ended == "refused":
        expected = REFUSALS.get(mode, (3, "ASSAY-E002"))
        problems += refused(home, (tree, kept), done, expected)
    problems += next_works(home, name, turn)
    return Seen(point, mode, ended, _real(now) > _real(before), problems)


def at_random(home, name, draw, *, turn=0):
    """Kill an operation at a random time, at times after its end, and look as `attempt` does."""
    seconds = draw.uniform(0, 1.3 * home.seconds(name))
    home.take(name)
    before = home.entries()
    started = home.start(*OPERATIONS[name].words)
    time.sleep(seconds)
    started.kill()
    done = started.wait()
    now = home.entries()
    problems = problems_of(home, before, now, done) + next_works(home, name, turn)
    ended = "killed" if done.code == KILLED else "committed"
    return Seen(f"after {seconds:.3f} s", "random", ended, _real(now) > _real(before), problems)


def problems_of(home, before, now, done):
    """Return what is wrong with a store after a command that ended somehow."""
    if not home.store.exists():
        return ["the ledger is gone"] if before else []
    found = [] if now[: len(before)] == before else ["entries changed"]
    if _real(now) > _real(before) + 1:
        found.append("more than one entry was added")
    if done.number is not None and done.number not in [entry["seq"] for entry in now]:
        found.append(f"the entry {done.number} was acknowledged and is lost")
    if done.error and _real(now) > _real(before):
        found.append(f"an entry was added although the command refused: {done.errors}")
    if home.has_key() or now:
        found += verify(home, {"ASSAY-L009"})
    runs = [entry["seq"] for entry in now if entry["kind"] in KINDS["runs"]]
    if runs:
        latest = home.assay("review", "latest", "--list")
        if (latest.code, latest.told.get("run")) != (0, runs[-1]):
            found.append(f"the latest run is {runs[-1]}, a reader sees {latest.told}")
    return found


def verify(home, allowed=frozenset()):
    """Return what `assay verify` has against the store; `allowed` are codes of warnings."""
    done = home.assay("verify")
    codes = {item["code"] for item in done.told.get("warnings", ())} - set(allowed)
    if done.code or done.told["breaks"] or codes:
        return [f"verify says {done.code}: {json.dumps(done.told)[:600]} {done.errors}"]
    return []


def refused(home, before, done, expected):
    """Return what is wrong with a refusal: its code, or anything that it left, changed or took.

    `before` is every file there was, and those of them that an entry accounts for; what a dead run
    left may be swept by a command that then refuses.
    """
    found = []
    if (done.code, done.error) != expected:
        found.append(f"refused with {done.code} {done.error}: {done.errors}")
    (tree, kept), now = before, tree_of(home.store)
    new = {name for name, content in now.items() if tree.get(name) != content}
    if not kept and home.entries():  # a first run's ledger may begin with the entry of the key
        new = {name for name in new if not name.startswith(KEY_ENTRY)}
    lost = {name for name, content in kept.items() if now.get(name) != content}
    if new or lost:
        found.append(f"it left {sorted(new)} and took {sorted(lost)}")
    return found


def next_works(home, name, turn=0):
    """Return what is wrong with the next commands: they must commit and leave nothing over."""
    found = []
    words = OPERATIONS[name].words
    has_run = any(entry["kind"] == "run" for entry in home.entries())
    order = [REVIEW] if turn % 2 and has_run else []
    for word in (*order, words, *([RELEASE] if words == REVIEW else [])):
        last = len(home.entries())
        done = home.assay(*word)
        if done.number is None or done.number != max(last, 1):
            found.append(f"the next {word[0]} gave {done.code} {done.number}: {done.errors}")
    return found + verify(home) + leftovers(home)


def kept_of(home, entries):
    """Return the digest of every file that an entry accounts for."""
    wanted = {
        f"{folder}/{entry['seq']:012}"
        for entry in entries
        for folder, kinds in KINDS.items()
        if entry["kind"] in kinds
    }
    return {
        name: content
        for name, content in tree_of(home.store).items()
        if "/".join(name.split(".")[0].split("/")[:2]) in wanted
        or (name.split("/")[0] == "ledger" and name.split("/")[1] in KEPT)
    }


def leftovers(home):
    """Return every file that no entry accounts for, and every one that is missing."""
    entries = home.entries()
    found = [f"{path} is left" for path in sorted((home.config / "assay").iterdir())
             if path.name != "signing-key.pem"]  # fmt: skip
    extra = tree_of(home.store).keys() - kept_of(home, entries).keys()
    found += [f"{name} is left" for name in sorted(extra)]
    for folder, kinds in KINDS.items():
        wanted = {f"{entry['seq']:012}" for entry in entries if entry["kind"] in kinds}
        place = home.store / folder
        there = {path.stem for path in place.iterdir()} if place.exists() else set()
        found += [f"{folder}/{stem} has no entry" for stem in sorted(there - wanted)]
        found += [f"{folder}/{stem} is gone" for stem in sorted(wanted - there)]
    if (home.store / "staging").exists():
        found.append("the staging folder is left")
    return found


def tree_of(folder):
    """Return the digest of every file below a folder, less the lock."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


def _real(entries):
    return sum(entry["kind"] != "key" for entry in entries)


def _rows(count):
    draw = random.Random(4)
    rows = ["key,size,kind,note"]
    for number in range(count):
        size = round(draw.gauss(10, 3), 2)
        kind = "big" if size > 10 else "small"
        rows.append(f"k{number:03d},{size},{kind},{draw.choice(['calm', 'warm', 'wet'])}")
    return rows
