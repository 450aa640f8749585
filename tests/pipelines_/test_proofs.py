"""Proofs and verification from outside: the command line and the standalone verifier agree."""

import argparse
import base64
import contextlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import cli
from provenance import standalone_verify
from provenance.ledger import lineage, signing, verify
from provenance.ledger.ledger import Ledger
from provenance.rows import digest

VERIFIER = str(Path(standalone_verify.__file__))
PLACES = ("ledger/entries", "ledger/segments", "runs/*/clean", "runs/*/quarantine",
          "runs/*/rejected", "runs/*/lineage", "reviews")  # fmt: skip
CONTRACT = """apiVersion: v3.1.0
kind: DataContract
id: people
name: people
version: 1.0.0
status: active
schema:
  - name: people
    properties:
      - {name: id, logicalType: string, required: true, primaryKey: true}
      - {name: age, logicalType: integer, logicalTypeOptions: {minimum: 0, maximum: 120}}
      - {name: paid, logicalType: number}
      - {name: day, logicalType: date}
      - name: note
        logicalType: string
        customProperties: [MARK]
"""
MARK = "{property: assay.pii, value: redact}"


def rows(count):
    yield "id,age,paid,day,note"
    for n in range(count):
        age = 300 if n == 7 else "old" if n == 9 else 20 + n % 50
        note = "write to ann.lee@example.com" if n == 5 else f"note {n % 13}"
        yield f"p{n:04},{age},{n * 1.25},2026-01-{1 + n % 28:02},{note}"
    yield "p9999,1"


def told(*words):
    """Run a command in this process; returns its exit code."""
    return cli.main([str(word) for word in words])


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Two runs, one of them with keyed row ids, a release, a change of key, a compaction."""
    folder = tmp_path_factory.mktemp("proofs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.chdir(folder)
        Path("people.csv").write_text("\n".join(rows(120)) + "\n")
        Path("plain.yaml").write_text(CONTRACT.replace("[MARK]", "[]"))
        Path("keyed.yaml").write_text(CONTRACT.replace("MARK", MARK))
        for name in ("plain", "keyed"):
            words = ("--source", "people.csv", "--store", "store", "--direct", "--engine", "serial")
            assert told("run", f"{name}.yaml", *words) in (0, 1)
        assert told("ledger", "checkpoint", "--store", "store", "-o", "early.note") == 0
        Path("d.csv").write_text("row,decision\n7,release\n8,reject\n")
        assert told("review", "2", "--apply", "d.csv", "--store", "store") == 0
        assert told("release", "2", "--store", "store") in (0, 1)
        assert told("ledger", "rotate", "--store", "store") == 0
        assert told("ledger", "compact", "--store", "store") == 0
        assert told("ledger", "rotate", "--store", "store") == 0
        assert told("ledger", "key", "-o", "key.pem") == 0
        assert told("ledger", "checkpoint", "--store", "store", "-o", "now.note") == 0
        yield folder


@pytest.fixture(autouse=True)
def own_configuration(home, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.chdir(home)
    for name in ("ASSAY_STORE", "ASSAY_SIGNING_KEY", "ASSAY_PUBLIC_KEY"):
        monkeypatch.delenv(name, raising=False)


def standalone(*words):
    """Return what the verifier's `main` returns and prints; an exception of its own is raised."""
    out, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [VERIFIER, *map(str, words)])
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            code = standalone_verify.main()
    return code, out.getvalue().strip(), errors.getvalue()


def as_a_stranger_runs_it(*words):
    command = [sys.executable, "-P", VERIFIER, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.strip(), done.stderr


def test_both_verifiers_hold_the_store_to_be_whole(capsys):
    words = ("--store", "store", "--json")
    for note in ("early.note", "now.note"):
        assert told("verify", "--checkpoint", note, *words) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["breaks"], found["runs"]) == ([], 3)
        given = ("store", "--key", "key.pem", "--checkpoint", note)
        assert as_a_stranger_runs_it(*given) == (0, "holds", "")


def test_a_store_that_does_not_hold_ends_the_verifier_with_4(tmp_path):
    shutil.copytree("store", tmp_path / "store")
    drop_entry(tmp_path / "store")
    code, out, errors = as_a_stranger_runs_it(tmp_path / "store", "--key", "key.pem")
    assert (code, bool(out), errors) == (4, True, "")


def test_the_verifier_stands_alone_and_is_short_enough_to_be_read_whole():
    lines = Path(VERIFIER).read_text().splitlines()
    assert len(lines) <= 400
    assert max(map(len, lines)) <= 100
    modules = "import sys, runpy; runpy.run_path(sys.argv[1]); print(*sys.modules)"
    command = [sys.executable, "-P", "-c", modules, VERIFIER]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    own = {name for name in done.stdout.split() if name.partition(".")[0] in
           ("provenance", "checks", "pipelines", "pandas", "duckdb")}  # fmt: skip
    assert own == set()


@pytest.mark.parametrize(
    ("run", "row"), [(1, 0), (1, 7), (1, 9), (1, 120), (2, 0), (2, 7), (2, 9), (2, 120), (4, 7),
                     (4, 8), (4, 3)],
)  # fmt: skip
def test_a_row_is_proven_by_checkpoint_row_and_proof_alone(tmp_path, run, row):
    proof, content = tmp_path / "p.tlog-proof", tmp_path / "row.parquet"
    words = ("--store", "store", "--checkpoint", "now.note", "-o", proof, "--row-file", content)
    assert told("ledger", "prove", run, row, *words) == 0
    given = ("--proof", proof, "--checkpoint", "now.note", "--row", content)
    assert standalone(*given) == (0, "holds", "")
    assert standalone(*given, "--key", "key.pem") == (0, "holds", "")
    other = tmp_path / "other.parquet"
    assert told("ledger", "prove", run, 1, *words[:-1], other, "-o", tmp_path / "x") == 0
    assert standalone(*given[:-1], other)[0] == 4
    assert standalone(*given[:3], "early.note")[0] == 4
    assert told("verify", run, "--row", row, "--store", "store") == 0


def test_an_altered_proof_or_row_is_refused(tmp_path):
    proof, content = tmp_path / "p.tlog-proof", tmp_path / "row.parquet"
    words = ("--store", "store", "--checkpoint", "now.note", "-o", proof, "--row-file", content)
    assert told("ledger", "prove", 2, 3, *words) == 0
    given = ("--checkpoint", "now.note", "--row", content, "--proof")
    text = proof.read_text()
    extra = json.loads(base64.b64decode(text.split("\n")[1].removeprefix("extra ")))
    for change in ({"fate": "quarantine"}, {"source_row": 4}, {"rules": ["x"]}, {"file": "y"}):
        bent = {**extra, "row": {**extra["row"], "lineage": {**extra["row"]["lineage"], **change}}}
        line = "extra " + base64.b64encode(json.dumps(bent).encode()).decode()
        proof.write_text("\n".join([*text.split("\n")[:1], line, *text.split("\n")[2:]]))
        assert standalone(*given, proof)[0] == 4, change
    for bent in (text.replace("index 2", "index 1"), text.replace("@v1", "@v2"), text[:90], ""):
        proof.write_text(bent)
        code, out, errors = standalone(*given, proof)
        assert (code, bool(out), errors) == (4, True, "")
    proof.write_text(text)
    table = pq.read_table(content)
    for name, value in (("age", 99), ("note", "Note 3"), ("paid", 3.7500001)):
        field = table.schema.field(name)
        place = table.column_names.index(name)
        pq.write_table(table.set_column(place, field, pa.array([value], field.type)), content)
        assert standalone(*given, proof)[0] == 4, name


def test_the_verifier_answers_whatever_it_is_given(tmp_path):
    """Each ended it with a traceback and exit code 1, or took as much memory as it claimed."""
    proof, content, key = tmp_path / "p.tlog-proof", tmp_path / "row.parquet", tmp_path / "k.pem"
    words = ("--store", "store", "--checkpoint", "now.note", "-o", proof, "--row-file", content)
    assert told("ledger", "prove", 2, 3, *words) == 0
    good = {"--checkpoint": "now.note", "--row": content, "--proof": proof}
    nested, many, deep = tmp_path / "nested", tmp_path / "many", tmp_path / "deep"
    pq.write_table(pa.table({"a": [[1]]}), nested)
    pq.write_table(pa.table({"a": pa.repeat("x", 3_000_000)}), many)
    first, extra, *rest = proof.read_text().split("\n")
    deep.write_text("\n".join([first, "extra " + base64.b64encode(b"[" * 9999).decode(), *rest]))
    pem = Path("key.pem").read_text().split("\n")
    der = base64.b64decode(pem[1]).replace(bytes((0x2B, 0x65, 0x70)), bytes((0x2B, 0x65, 0x01)))
    key.write_text("\n".join([pem[0], base64.b64encode(der).decode(), *pem[2:]]))
    loose = tmp_path / "loose"
    loose.write_text("\n".join([first, extra[:40] + "{}" + extra[40:], *rest]))
    for bad in (
        {"--proof": loose},
        {"--row": nested},
        {"--row": many},
        {"--proof": deep},
        {"--key": key},
    ):
        code, out, errors = standalone(*(word for pair in (good | bad).items() for word in pair))
        assert (code, bool(out), errors) == (4, True, ""), bad
    assert "more rows" in standalone(*(w for p in (good | {"--row": many}).items() for w in p))[1]


@pytest.mark.parametrize("line", ["witness.example/w AAA", "w\0 AAAA", "w.example " + "A" * 92])
def test_what_others_sign_a_checkpoint_with_is_theirs(tmp_path, line):
    path = tmp_path / "signed.note"
    path.write_text(Path("now.note").read_text() + f"\u2014 {line}\n")
    assert told("verify", "--store", "store", "--checkpoint", path) == 0
    assert standalone("store", "--key", "key.pem", "--checkpoint", path) == (0, "holds", "")


def test_keyed_row_ids_cannot_be_guessed_and_outlive_the_key():
    clean = pq.read_table("store/runs/000000000001/clean")
    plain = {bytes(d) for d in digest.of_rows(clean)}
    ids = {run: pq.read_table(f"store/runs/{run:012}/lineage") for run in (1, 2, 4)}
    assert plain <= set(ids[1]["row_id"].to_pylist())
    for run in (2, 4):
        for name in ("row_id", "commitment"):
            assert not plain & set(ids[run][name].to_pylist())
    by_row = [dict(zip(ids[run]["source_row"].to_pylist(), ids[run]["row_id"].to_pylist(),
                       strict=True)) for run in (2, 4)]  # fmt: skip
    assert by_row[0] == by_row[1]
    secrets = lineage.secrets_of(signing.load(Path("config/assay/signing-key.pem")))
    assert secrets == lineage.secrets_of(signing.load(Path("config/assay/signing-key.pem")))
    assert "commitment" not in ids[1].column_names


def test_the_ledger_only_grew_since_a_checkpoint(capsys):
    words = ("--store", "store", "--json")
    assert told("ledger", "prove", "--since", "early.note", *words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["since"], found["size"]) == (3, 8)
    assert told("ledger", "prove", "7", "--checkpoint", "early.note", *words) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "ASSAY-C013"


def test_a_report_is_found_by_its_bytes_alone(tmp_path, capsys):
    copied = tmp_path / "from a mail.html"
    shutil.copy("store/runs/000000000002/report.html", copied)
    assert told("verify", "--report", copied, "--store", "store", "--json") == 0
    assert json.loads(capsys.readouterr().out)["report"] == {"run": 2, "name": "report.html"}
    copied.write_bytes(copied.read_bytes() + b" ")
    assert told("verify", "--report", copied, "--store", "store", "--json") == 4
    assert json.loads(capsys.readouterr().out)["breaks"][0]["code"] == "ASSAY-L011"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("verify", "--row", "3"), "ASSAY-C012"),
        (("verify", "1", "--report", "people.csv"), "ASSAY-C012"),
        (("verify", "1", "--row", "121"), "ASSAY-C013"),
        (("verify", "--checkpoint", "people.csv"), "ASSAY-L012"),
        (("verify", "--checkpoint", "none.note"), "ASSAY-C012"),
        (("verify", "--key", "people.csv"), "ASSAY-E003"),
        (("ledger", "prove"), "ASSAY-C012"),
        (("ledger", "prove", "1", "x"), "ASSAY-C013"),
        (("ledger", "prove", "99"), "ASSAY-C013"),
        (("ledger", "rotate", "--to", "store/key.pem"), "ASSAY-E003"),
    ],
)
def test_what_cannot_be_asked_has_a_code(capsys, words, code):
    assert told(*words, "--store", "store", "--json") in (2, 3, 4)
    assert json.loads(capsys.readouterr().out)["error"]["code"] == code


def faults_of(store):
    """Return whether `assay verify` and the standalone verifier find anything."""
    from pipelines.commands import verify as command

    trusted = signing.load_public(Path("key.pem"))
    walked = verify.verify_ledger(Ledger(store / "ledger"), trusted)
    given = {"run": None, "row": None, "report": None, "checkpoint": None, "key": "key.pem"}
    arguments = argparse.Namespace(store=str(store), json=True, **given)
    code = 4 if walked.breaks else command.main(arguments)
    faults, keys, _ = standalone_verify.walked(store)
    return code == 4, bool(faults) or trusted.public not in keys


def flip(store, times, seed):
    """Flip a bit of `times` random bytes of the files that a store is made of, one at a time."""
    rng = random.Random(seed)
    paths = [p for place in PLACES for p in sorted(store.glob(f"{place}/*.parquet"))]
    for _ in range(times):
        path = rng.choice(paths)
        whole = path.read_bytes()
        position = rng.randrange(len(whole))
        bent = bytearray(whole)
        bent[position] ^= 1 << rng.randrange(8)
        path.write_bytes(bent)
        yield f"{path.relative_to(store)} at {position}", faults_of(store)
        path.write_bytes(whole)


@pytest.mark.parametrize(
    "times", [40, pytest.param(1_000, marks=pytest.mark.long)], ids=lambda n: f"{n} flips"
)
def test_every_flipped_byte_is_seen_by_both(tmp_path, times):
    shutil.copytree("store", tmp_path / "store")
    for place, found in flip(tmp_path / "store", times, seed=4):
        assert found == (True, True), place
    assert faults_of(tmp_path / "store") == (False, False)


def drop_entry(store):
    (store / "ledger/entries/000000000006.parquet").unlink()


def swap_entries(store):
    folder = store / "ledger/entries"
    (folder / "000000000006.parquet").rename(folder / "x")
    (folder / "000000000007.parquet").rename(folder / "000000000006.parquet")
    (folder / "x").rename(folder / "000000000007.parquet")


def replay(store):
    folder = store / "ledger/entries"
    shutil.copy(folder / "000000000006.parquet", folder / "000000000008.parquet")


def stray(store):
    (store / "runs/000000000001/clean/part-00099.parquet").write_bytes(b"x")


def lose_segment(store):
    next((store / "ledger/segments").iterdir()).unlink()


def lose_a_decision(store):
    next((store / "reviews").iterdir()).unlink()


ATTACKS = (drop_entry, swap_entries, replay, stray, lose_segment, lose_a_decision)


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_attack_on_a_store_is_seen_by_both(tmp_path, attack):
    shutil.copytree("store", tmp_path / "store")
    attack(tmp_path / "store")
    assert faults_of(tmp_path / "store") == (True, True)


def test_a_cut_end_is_seen_once_a_checkpoint_is_given(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))  # of who has seen nothing yet
    store = tmp_path / "store"
    shutil.copytree("store", store)
    (store / "ledger/entries/000000000007.parquet").unlink()
    assert told("verify", "--store", store) == 4  # this user's own key took over in entry 7
    pem = signing.load(next(Path("config/assay").glob("signing-key-*.pem"))).public_pem()
    (tmp_path / "old.pem").write_bytes(pem)
    words = ("verify", "--store", store, "--json", "--key", tmp_path / "old.pem")
    capsys.readouterr()
    assert told(*words) == 0
    capsys.readouterr()
    assert told(*words, "--checkpoint", "now.note") == 4
    # the checkpoint is signed by a key that the rest of the ledger does not know
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "ASSAY-L007"
    given = ("--key", tmp_path / "old.pem", "--checkpoint", "now.note")
    assert standalone(store, *given)[0] == 4


def test_what_tells_of_a_row_is_for_its_owner_only_and_follows_no_link(tmp_path):
    victim, content = tmp_path / "victim", tmp_path / "row.parquet"
    victim.write_bytes(b"theirs")
    content.symlink_to(victim)
    words = ("--store", "store", "-o", tmp_path / "p.proof", "--row-file", content)
    assert told("ledger", "prove", 1, 0, *words) == 0
    assert told("ledger", "prove", 1, "--store", "store", "-o", tmp_path / "e.proof") == 0
    assert victim.read_bytes() == b"theirs"
    assert not content.is_symlink()
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("row.parquet", "p.proof")]
    assert modes == [0o600, 0o600]
    assert (tmp_path / "e.proof").stat().st_mode & 0o600 == 0o600


@pytest.mark.parametrize(
    ("words", "code", "name"),
    [
        (("verify", "--report", "pipe", "--store", "store"), "ASSAY-C012", ""),
        (("verify", "--key", "pipe", "--store", "store"), "ASSAY-E003", ""),
        (("review", "2", "--apply", "pipe", "--store", "store"), "ASSAY-C014", ""),
        (("verify", "--store", "store"), "ASSAY-E003", "ASSAY_PUBLIC_KEY"),
        (("ledger", "checkpoint", "--store", "store"), "ASSAY-E003", "ASSAY_SIGNING_KEY"),
    ],
)
def test_a_named_pipe_is_refused_and_not_waited_for(
    tmp_path, capsys, monkeypatch, words, code, name
):
    os.mkfifo(tmp_path / "pipe")
    if name:
        monkeypatch.setenv(name, str(tmp_path / "pipe"))
    told(*(tmp_path / word if word == "pipe" else word for word in words), "--json")
    assert json.loads(capsys.readouterr().out)["error"]["code"] == code
