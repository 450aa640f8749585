"""Checkpoints as C2SP signed notes: a known one, a round trip, and what must not be believed."""

import base64
import hashlib

import pytest

from provenance.base.errors import AssayError
from provenance.ledger import checkpoint, signing
from provenance.ledger.checkpoint import Checkpoint

ROOT = hashlib.sha256(b"root").digest()


@pytest.fixture
def signer(tmp_path):
    return signing.load_or_make(tmp_path / "key.pem")


@pytest.fixture
def other(tmp_path):
    return signing.load_or_make(tmp_path / "other.pem")


@pytest.fixture
def made():
    return Checkpoint(checkpoint.origin_of(ROOT), 7, ROOT)


def test_the_text_is_three_lines_and_the_key_hash_that_of_the_standard(made, signer):
    text, _, tail = made.signed(signer).rpartition("\n\n")
    assert text.split("\n") == [made.origin, "7", base64.b64encode(ROOT).decode()]
    dash, name, line = tail.rstrip("\n").split(" ")
    public = signer.verifier.public
    wanted = hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]
    assert (dash, name) == ("—", made.origin)
    assert base64.b64decode(line)[:4] == wanted
    assert signer.verifier.holds(base64.b64decode(line)[4:], f"{text}\n".encode())


def test_round_trip_with_lines_of_witnesses_that_nobody_knows(made, signer, other):
    text = made.signed(signer)
    witness = base64.b64encode(b"1234" + bytes(76)).decode()
    assert checkpoint.opened(f"{text}— witness.example {witness}\n", [signer.verifier]) == made
    assert checkpoint.opened(text, [other.verifier, signer.verifier]) == made


def test_another_key_is_not_believed(made, signer, other):
    with pytest.raises(AssayError) as caught:
        checkpoint.opened(made.signed(other), [signer.verifier])
    assert (caught.value.code, caught.value.exit_code) == ("ASSAY-L007", 4)


def bent(text):
    lines = text.split("\n")
    yield "a larger size", text.replace("\n7\n", "\n8\n")
    yield "a leading zero", text.replace("\n7\n", "\n07\n")
    yield "no signature", "\n".join(lines[:4]) + "\n"
    yield "no empty line", text.replace("\n\n", "\n")
    yield "another root", text.replace(lines[2], base64.b64encode(bytes(32)).decode())
    yield "another origin", text.replace(lines[0], "assay.ledger/0")
    yield "no last line end", text.rstrip("\n")
    yield "an extension line put in", text.replace("\n\n", "\nmore\n\n")
    yield "line ends of another system", text.replace("\n", "\r\n")
    yield "nothing", ""
    yield "a signature cut short", text[:-12] + "\n"


def test_whatever_is_bent_is_refused_with_a_code(made, signer):
    for what, text in bent(made.signed(signer)):
        with pytest.raises(AssayError) as caught:
            checkpoint.opened(text, [signer.verifier], "cp.note")
        assert caught.value.code in ("ASSAY-L007", "ASSAY-L012"), what
        assert caught.value.where == "cp.note", what


def test_a_size_that_no_ledger_has_is_no_checkpoint():
    root = base64.b64encode(bytes(32)).decode()
    line = base64.b64encode(bytes(68)).decode()
    for size in ("9" * 5000, "9" * 19, "01", "-1"):
        with pytest.raises(AssayError) as caught:
            checkpoint.parse(f"a.example/b\n{size}\n{root}\n\n\u2014 a.example/b {line}\n")
        assert caught.value.code == "ASSAY-L012"
    assert (
        checkpoint.parse(f"a.example/b\n{'9' * 18}\n{root}\n\n\u2014 a.example/b {line}\n")[0].size
        > 0
    )
