"""No pickle that somebody else could have written is loaded: not a byte of it, by any name."""

import ast
import functools
import json
import operator
import os
import pickle
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import tables
from pipelines_.test_engine import CONTRACT, Quick

from checks.kit import registry
from pipelines import cli
from pipelines.checking import engine
from pipelines.checking.engine import Processes, Serial, Shared
from pipelines.checking.examine import Examined, Status, examine
from pipelines.checking.resume import Kept
from pipelines.checking.sealed import SEAL, SealedFolder
from pipelines.run import downstream_model
from provenance.base.errors import AssayError
from provenance.ledger import signing
from provenance.rows.shards import write_shard

ROOT = Path(__file__).parents[2]
PRODUCT = [p for name in ("provenance", "checks", "pipelines") for p in (ROOT / name).rglob("*.py")]
NOBODY = "65534"
UNPICKLERS = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}


class Trap:
    """Makes a folder where it is unpickled."""

    def __init__(self, place):
        self.place = str(place)

    def __reduce__(self):
        return os.mkdir, (self.place,)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sealed").mkdir()
    return SealedFolder(tmp_path / "sealed", "test")


def code_of(call, *given):
    with pytest.raises(AssayError) as raised:
        call(*given)
    return raised.value.code


def test_what_is_written_is_read_and_is_a_pickle_with_a_seal_behind_it(folder):
    value = {"rows": list(range(100_000)), "name": "x" * 200_000}
    assert folder.write("a", value)
    assert folder.read("a") == value
    whole = (folder.path / "a").read_bytes()
    assert whole[:-SEAL] == folder.content("a") == pickle.dumps(value, 5)
    folder.put("b", folder.content("a"))
    assert folder.read("b") == value
    assert sorted(os.listdir(folder.path)) == ["a", "b"]  # noqa: PTH208


def test_what_is_too_large_is_neither_kept_nor_read(folder):
    assert not folder.write("a", b"x" * 1000, most=1000)
    assert os.listdir(folder.path) == []  # noqa: PTH208
    assert folder.write("a", b"x" * 1000, most=2000)
    assert code_of(functools.partial(folder.read, "a", most=1000)) == "ASSAY-E110"


def planted(path, trap):
    path.write_bytes(pickle.dumps(trap) + path.read_bytes()[-SEAL:])


def changed(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def linked(path, to):
    shutil.move(path, to)
    path.symlink_to(to)


def replaced(path, make):
    path.unlink()
    make(path)


ATTACKS = {
    "another pickle": planted,
    "a plain pickle": lambda path, trap: path.write_bytes(pickle.dumps(trap)),
    "a byte of the pickle": lambda path, _: changed(path, 5),
    "a byte of the seal": lambda path, _: changed(path, -1),
    "cut": lambda path, _: path.write_bytes(path.read_bytes()[:-1]),
    "longer": lambda path, _: path.write_bytes(path.read_bytes() + b"\0"),
    "empty": lambda path, _: path.write_bytes(b""),
    "gone": lambda path, _: path.unlink(),
    "a link to the true one": lambda path, _: linked(path, path.with_name("elsewhere")),
    "a pipe without a writer": lambda path, _: replaced(path, os.mkfifo),
    "a folder": lambda path, _: replaced(path, os.mkdir),
    "another of the same folder": lambda path, _: shutil.copy(path.with_name("b"), path),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_a_file_that_is_not_the_very_one_is_refused_unread(folder, tmp_path, attack):
    folder.write("a", [1])
    folder.write("b", [2])
    attack(folder.path / "a", Trap(tmp_path / "trapped"))
    assert code_of(folder.read, "a") == "ASSAY-E110"
    assert not (tmp_path / "trapped").exists()
    assert folder.read("b") == [2]


@pytest.mark.parametrize("change", [{"purpose": "other"}, {"secret": b"s" * 32}], ids=str)
def test_a_file_of_another_purpose_or_run_is_refused(folder, change):
    import dataclasses

    dataclasses.replace(folder, **change).write("a", [1])
    assert code_of(folder.read, "a") == "ASSAY-E110"


def test_names_and_purposes_do_not_run_into_each_other(tmp_path):
    SealedFolder(tmp_path, "ab", b"s" * 32).write("c", 1)
    (tmp_path / "c").rename(tmp_path / "bc")
    assert code_of(SealedFolder(tmp_path, "a", b"s" * 32).read, "bc") == "ASSAY-E110"


def test_a_link_that_waits_at_a_name_is_replaced_and_not_followed(folder, tmp_path):
    (tmp_path / "victim").write_text("precious")
    (folder.path / "a").symlink_to(tmp_path / "victim")
    folder.write("a", 1)
    assert (tmp_path / "victim").read_text() == "precious"
    assert folder.read("a") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_what_another_user_puts_into_an_open_folder_is_refused():
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o777)
        folder, trapped = SealedFolder(Path(place), "test"), Path(place, "trapped")
        folder.write("a", [1])
        Path(place, "theirs").write_bytes(pickle.dumps(Trap(trapped)))
        user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        subprocess.run([*user, "sh", "-c", "mv theirs a"], cwd=place, check=True, timeout=60)
        assert code_of(folder.read, "a") == "ASSAY-E110"
        assert not trapped.exists()


def seen_by_worker(held, number):
    """Return whether this process can open what the parent sealed, and what tells it how to."""
    told = Path("/proc/self/cmdline").read_bytes() + Path("/proc/self/environ").read_bytes()
    secrets = (held.secret, held.secret.hex().encode())
    files = [path for path in held.path.parent.rglob("*") if path.is_file()]
    on_disk = any(one in path.read_bytes() for one in secrets for path in files)
    return held.read("a")[number], any(one in told for one in secrets) or on_disk, len(files)


def test_workers_get_secrets_over_a_pipe_and_from_no_file_command_line_or_environment(
    folder, tmp_path
):
    folder.write("a", [10, 11])
    pool = Processes(1, scratch=tmp_path)
    try:
        seen = pool.map(functools.partial(seen_by_worker, folder), range(2))
    finally:
        pool.close()
    assert seen == [(10, False, 2), (11, False, 2)]  # the file, and the function's own


def test_a_secret_is_not_written_by_mistake(folder):
    with pytest.raises(TypeError, match="secret"):
        folder.write("a", {"b": [folder]})
    assert os.listdir(folder.path) == []  # noqa: PTH208
    assert folder.secret.hex() not in repr(folder)
    assert repr(folder.secret) not in repr(folder)


def test_a_function_on_its_way_to_workers_is_not_taken_from_another(monkeypatch, tmp_path):
    write = Shared.of

    def altered(folder, function):
        shared = write(folder, function)
        (folder.path / engine.FUNCTION).write_bytes(pickle.dumps(Trap(tmp_path / "trapped")))
        return shared

    monkeypatch.setattr(Shared, "of", staticmethod(altered))
    pool = Processes(1, scratch=tmp_path)
    try:
        assert code_of(pool.map, operator.neg, [1]) == "ASSAY-E110"
    finally:
        pool.close()
    assert not (tmp_path / "trapped").exists()


class Intruder(Serial):
    """Stands for somebody who may write to the folder: acts after a number of maps."""

    def __init__(self, inner, after, act):
        super().__init__()
        self.inner, self.after, self.act = inner, after, act

    def map(self, function, items):
        done = self.inner.map(function, items)
        self.after -= 1
        if not self.after:
            self.act()
        return done


def put_trap(folder, pattern, trapped):
    files = list(folder.rglob(pattern))
    assert files
    for path in files:
        path.write_bytes(pickle.dumps(Trap(trapped)))


@pytest.mark.parametrize("kind", ["serial", "processes"])
@pytest.mark.parametrize("after", [1, 2], ids=["a state", "a model"])
@pytest.mark.parametrize("is_kept", [False, True], ids=["", "kept"])
def test_a_broken_seal_ends_the_examination_and_is_no_checks_fault(
    tmp_path, monkeypatch, kind, after, is_kept
):
    monkeypatch.setattr(registry, "load", lambda: {"quick": Quick})
    rows = tables.loans(200)
    refs = [write_shard(tmp_path, shard) for shard in tables.cut(rows, 100)]
    models, trapped = tmp_path / "models", tmp_path / "trapped"
    models.mkdir()
    act = functools.partial(put_trap, models, "*.state" if after == 1 else "*.pkl", trapped)
    inner = Serial() if kind == "serial" else Processes(1, scratch=tmp_path)
    kept = Kept(tmp_path / "resume")
    if is_kept:
        kept.begin({}, 2, lambda: signing.load_or_make(tmp_path / "key.pem"))
    context = tables.context_for(rows, None, **tables.ROLES)
    try:
        given = context, refs, kept.over(Intruder(inner, after, act)), models
        assert code_of(examine, *given) == "ASSAY-E110"
    finally:
        inner.close()
        kept.close()
    assert not trapped.exists()


def test_a_run_with_a_broken_seal_commits_nothing(tmp_path, monkeypatch, capsys):
    make = engine.make

    def watched(*given, scratch, **named):
        act = functools.partial(put_trap, scratch / "models", "*.pkl", tmp_path / "trapped")
        return Intruder(make(*given, scratch=scratch, **named), 2, act)

    monkeypatch.setattr(engine, "make", watched)
    (tmp_path / "c.yaml").write_text(CONTRACT)
    rows = [f"L-{n},{3000 + n % 50},{'yes' if n % 3 else 'no'}" for n in range(60)]
    (tmp_path / "a.csv").write_text("\n".join(["id,income,label", *rows]) + "\n")
    words = ["run", tmp_path / "c.yaml", "--source", tmp_path / "a.csv"]
    words += ["--store", tmp_path / "store", "--direct", "--json"]
    assert cli.main(list(map(str, words))) == 3
    told = json.loads(capsys.readouterr().out)
    assert (told["run"], told["error"]["code"]) == (None, "ASSAY-E110")
    assert not (tmp_path / "store" / "runs").exists()
    assert not (tmp_path / "store" / "ledger").exists()
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize("attack", [planted, lambda path, _: path.unlink()], ids=["other", "gone"])
def test_the_report_does_not_load_a_model_that_was_altered(folder, tmp_path, attack):
    status = Status("poison", "ok")
    examined = Examined(tables.loans(0), (status,), (), models=folder)
    folder.write("poison.pkl", [])
    attack(folder.path / "poison.pkl", Trap(tmp_path / "trapped"))
    assert code_of(downstream_model._stamps, examined) == "ASSAY-E110"
    assert not (tmp_path / "trapped").exists()


def loaders(source):
    """Return what in a source could load a pickle."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{one.name}" for one in node.names)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value]  # what `import_module` gets
        found += [name for name in names if set(name.split(".")) & UNPICKLERS and " " not in name]
        if isinstance(node, ast.Attribute) and node.attr in ("read_pickle", "pickle", "joblib"):
            found.append(node.attr)
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            found.append(node.arg)
    return found


@pytest.mark.parametrize(
    "source",
    ["import pickle", "from pickle import loads", "import numpy, joblib.externals",
     "from joblib import load", "import_module('cloudpickle')", "pd.read_pickle('x')",
     "np.load('x', allow_pickle=True)", "sklearn.externals.joblib.load(x)",
     "from distributed.protocol import pickle", "__import__('marshal')"],
)  # fmt: skip
def test_the_law_below_sees_what_loads_a_pickle(source):
    assert loaders(source)


@pytest.mark.parametrize("path", PRODUCT, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_sealed_module_loads_pickles(path):
    """So no command loads the models of a committed run, which have no seal."""
    is_it = path == ROOT / "pipelines" / "checking" / "sealed.py"
    assert bool(loaders(path.read_text())) is is_it


def test_the_sealed_module_checks_the_seal_before_its_one_load():
    text = (ROOT / "pipelines" / "checking" / "sealed.py").read_text()
    calls = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call)]
    loads = [ast.unparse(n) for n in calls if ast.unparse(n.func).endswith((".load", ".loads"))]
    assert loads == ["_WithSecrets(io.BytesIO(self.content(name, most=most)), folders).load()"]
