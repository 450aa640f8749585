"""The users file of the review page, and what is refused before a port is bound."""

import contextlib
import io
import json
import os
import pty
import stat
import subprocess
import sys

import pytest
import review_page
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from review_page import PASSWORD, STORED, certificate_in

from pipelines.cli import main
from pipelines.review import certificates, passwords, users
from pipelines.review.users import UsersFile
from provenance.base.errors import AssayError

HEAVY = {"pyarrow", "numpy", "pandas", "fastapi", "starlette", "uvicorn", "jinja2", "duckdb"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "users"


@pytest.fixture
def review(tmp_path, capsys, monkeypatch):
    """Return what runs `assay review` with a line on standard input: code, stdout, stderr."""

    def run(*words, typed=PASSWORD):
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{typed}\n"))
        code = main(["review", *map(str, words), "--store", str(tmp_path / "store")])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def write(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)


def refusal(call, *arguments):
    with pytest.raises(AssayError) as caught:
        call(*arguments)
    error = caught.value
    assert error.what
    assert error.where
    assert error.fix
    assert "$argon2id" not in str(error)
    return error


# the file


def test_users_are_added_changed_and_removed(path, review):
    assert review("--add-user", "anna", "--role", "reviewer", "--users", path)[0] == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert PASSWORD not in path.read_text()
    anna = UsersFile(path).now()["anna"]
    assert anna.role == "reviewer"
    assert passwords.is_right(PASSWORD, anna.password)
    code, out, _ = review("--add-user", "bob", "--role", "viewer", "--users", path, "--no-password")
    assert (code, out) == (0, f"added bob in {path}\n")
    assert review("--change-user", "bob", "--role", "admin", "--users", path)[0] == 0
    bob = UsersFile(path).now()["bob"]
    assert (bob.role, bob.password) == ("admin", passwords.NONE)
    other = "another password, please"
    assert review("--change-user", "anna", "--users", path, typed=other)[0] == 0
    changed = UsersFile(path).now()["anna"]
    assert (changed.role, passwords.is_right(other, changed.password)) == ("reviewer", True)
    code, out, _ = review("--remove-user", "bob", "--users", path, "--json")
    assert json.loads(out) == {"schema": "assay.review/1", "user": "bob", "done": "removed",
                               "file": str(path)}  # fmt: skip
    assert list(UsersFile(path).now()) == ["anna"]
    assert os.listdir(path.parent) == ["users"]  # noqa: PTH208  neither a lock nor a leftover


def test_notes_in_the_file_stay(path, review):
    write(path, f"# night shift\nanna viewer {STORED}\n\n")
    review("--add-user", "bob", "--role", "viewer", "--users", path, "--no-password")
    assert path.read_text() == f"# night shift\nanna viewer {STORED}\nbob viewer -\n"


@pytest.mark.parametrize(("words", "said"), [
    (("--add-user", "anna", "--role", "viewer"), "there is a user of that name already"),
    (("--add-user", "ANNA", "--role", "viewer"), "there is a user of that name already"),
    (("--change-user", "bob"), "there is no user of that name"),
    (("--remove-user", "Anna"), "there is no user of that name"),
    (("--add-user", "bob"), "--add-user needs --role"),
    (("--add-user", "bob", "--role", "god"), "the role is unknown"),
    (("--add-user", "bob smith", "--role", "viewer"), "the name is invalid"),
    (("--add-user", "-", "--role", "viewer"), "the name is invalid"),
    (("--add-user", "bøb", "--role", "viewer"), "the name is invalid"),
    (("--remove-user", "anna", "--role", "viewer"), "takes neither --role nor"),
    (("--add-user", "bob", "--remove-user", "anna"), "cannot be combined"),
    (("--role", "viewer"), "--role has no meaning without"),
    (("--no-password",), "--no-password has no meaning without"),
])  # fmt: skip
def test_a_change_that_makes_no_sense_is_refused(path, review, words, said):
    write(path, f"anna viewer {STORED}\n")
    code, _, err = review(*words, "--users", path)
    assert code == 2
    assert said in err
    assert "fix:" in err
    assert path.read_text() == f"anna viewer {STORED}\n"


@pytest.mark.parametrize("typed", ["", "short", "x" * 11, "x" * 1025, "aaaaaaaaaaaaaaaa",
                                   "tab\tin the middle", "bobbobbobbob",
                                   "bob-password"])  # fmt: skip
def test_a_weak_password_is_refused_and_not_repeated(path, review, typed):
    name = "bob-password" if typed == "bob-password" else "bob"
    code, out, err = review("--add-user", name, "--role", "viewer", "--users", path, typed=typed)
    assert code == 2
    assert "ASSAY-C015" in err
    assert not typed or typed == name or typed not in err + out
    assert not path.exists()


def test_a_password_is_the_same_however_its_letters_are_composed():
    assert passwords.is_right("Schloß für Künstler", passwords.encoded("Schloß für Künstler"))


def test_a_password_is_asked_for_twice_without_echo(path, tmp_path):
    def add(*typed):
        words = ["review", "--add-user", "anna", "--role", "viewer", "--users", str(path)]
        leader, follower = pty.openpty()
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "pipelines.cli", *words, "--store", str(tmp_path / "s")],
            stdin=follower, stdout=follower, stderr=follower, start_new_session=True,
            preexec_fn=None,
        )  # fmt: skip
        os.close(follower)
        shown = b""
        for line in typed:
            while not shown.endswith(b": "):
                shown += os.read(leader, 1000)
            os.write(leader, line.encode() + b"\n")
            shown += os.read(leader, 1000)
        with contextlib.suppress(OSError):  # the child's end is closed
            while more := os.read(leader, 1000):
                shown += more
        os.close(leader)
        return child.wait(), shown.decode()

    code, shown = add(PASSWORD, "something else")
    assert code == 2
    assert "the two passwords differ" in shown
    code, shown = add(PASSWORD, PASSWORD)
    assert code == 0
    assert PASSWORD not in shown
    assert UsersFile(path).now()["anna"].role == "viewer"


@pytest.mark.parametrize(("line", "said"), [
    ("anna viewer", "not a name, a role and a password"),
    ("anna  viewer -", "not a name, a role and a password"),
    ("anna viewer - more", "not a name, a role and a password"),
    ("anna root -", "role in the users file is unknown"),
    ("anna Viewer -", "role in the users file is unknown"),
    (".anna viewer -", "name in the users file is invalid"),
    ("carl viewer -", "a name occurs twice"), ("CARL viewer -", "a name occurs twice"),
    ("anna viewer secret", "not stored as Argon2id"),
    (f"anna viewer {STORED.replace('argon2id', 'argon2i')}", "not stored as Argon2id"),
    (f"anna viewer {STORED.replace('m=65536', 'm=1024')}", "m=1024,t=3,p=4, not m=65536"),
    (f"anna viewer {STORED.replace('t=3', 't=1')}", "m=65536,t=1,p=4, not"),
    (f"anna viewer {STORED.replace('t=3', 't=999')}", "m=65536,t=999,p=4, not"),
    (f"anna viewer {STORED[:-4]}", "a hash of 32 bytes"),
    ("änna viewer -", "other than ASCII text"), ("an\x00na viewer -", "name in the users file"),
])  # fmt: skip
def test_a_line_that_is_wrong_is_named_and_nothing_of_it_repeated(path, line, said):
    write(path, f"# users\ncarl viewer -\n{line}\n")
    error = refusal(UsersFile, path)
    assert error.code == "ASSAY-C015"
    assert said in error.what
    assert error.where == f"{path}, line 3"
    assert "anna" not in str(error).replace(str(path), "")


def test_a_file_without_users_is_refused_since_nobody_could_log_in(path):
    write(path, "# nobody\n")
    assert "has no users" in refusal(UsersFile, path).what


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o604, 0o602, 0o666])
def test_a_file_that_others_can_read_or_change_is_refused(path, mode):
    write(path, "anna viewer -\n", mode)
    error = refusal(UsersFile, path)
    assert error.code == "ASSAY-E112"
    assert error.what == "other users can read or change the users file"
    assert "chmod 600" in error.fix


def test_a_file_that_is_none_of_ours_is_refused(path, tmp_path, monkeypatch):
    real = tmp_path / "real"
    write(real, "anna viewer -\n")
    assert "cannot be read" in refusal(UsersFile, path).what
    path.symlink_to(real)
    assert "is a symlink" in refusal(UsersFile, path).what
    path.unlink()
    os.mkfifo(path, 0o600)
    assert "is a named pipe" in refusal(UsersFile, path).what
    path.unlink()
    write(path, "#" * (users.MOST_BYTES + 1))
    assert "larger than 1 MiB" in refusal(UsersFile, path).what
    monkeypatch.setattr(os, "geteuid", lambda: real.stat().st_uid + 1)
    assert "another user owns" in refusal(UsersFile, real).what


def test_a_folder_in_which_others_can_replace_the_file_is_refused(path):
    write(path, "anna viewer -\n")
    path.parent.chmod(0o777)
    assert "other users can replace" in refusal(UsersFile, path).what
    path.parent.chmod(0o1777)  # as /tmp: others cannot rename what is ours
    assert list(UsersFile(path).now()) == ["anna"]


def test_a_users_file_in_the_store_is_refused(tmp_path, review):
    inside = tmp_path / "store" / "users"
    inside.parent.mkdir()
    code, _, err = review("--add-user", "anna", "--role", "viewer", "--users", inside)
    assert code == 3
    assert "the users file lies in the store" in err
    write(inside, f"anna viewer {STORED}\n")
    assert "lies in the store" in review("--users", inside)[2]


def test_two_changes_at_once_both_count(path, tmp_path):
    words = [sys.executable, "-P", "-m", "pipelines.cli", "review", "--no-password", "--role",
             "viewer", "--users", str(path), "--store", str(tmp_path / "s")]  # fmt: skip
    started = [subprocess.Popen([*words, "--add-user", f"user{n}"], stdout=subprocess.DEVNULL)
               for n in range(6)]  # fmt: skip
    assert [each.wait() for each in started] == [0] * 6
    assert sorted(UsersFile(path).now()) == [f"user{n}" for n in range(6)]


# the way in


FAR = ("--host", "0.0.0.0")  # noqa: S104
PROXY = ("--trusted-header", "X-Remote-User", "--proxy", "127.0.0.1", "--origin",
         "https://review.example.org")  # fmt: skip


@pytest.mark.parametrize(("words", "said"), [
    (FAR, "lets other machines reach the page, which needs --users, --tls-cert and --tls-key"),
    ((*FAR, "--users", "u"), "which needs --tls-cert and --tls-key"),
    ((*FAR, "--users", "u", "--tls-cert", "c"), "which needs --tls-key"),
    ((*FAR, "--tls-cert", "c", "--tls-key", "k"), "which needs --users"),
    (("--host", "::", "--users", "u"), "--host :: lets other machines"),
    (("--host", "192.0.2.1", *PROXY, "--users", "u", "--proxy-secret", "s"), "needs --tls-cert"),
    (("--tls-cert", "c", "--users", "u"), "--tls-cert needs --tls-key"),
    (("--tls-cert", "c", "--tls-key", "k"), "--tls-cert needs --users"),
    (PROXY, "--trusted-header needs --users and --proxy-secret"),
    (("--proxy", "10.0.0.1"), "--proxy needs --users, --trusted-header, --proxy-secret and"),
    (("--origin", "https://x.example"), "--origin needs"),
    (("--host", "example.org"), "--host must be an IP address"),
    (("--host", "256.0.0.1"), "--host must be an IP address"),
    (("--users", "u", "--as", "bob"), "--as has no meaning with --users"),
])  # fmt: skip
def test_a_way_in_that_is_not_safe_is_refused_in_words(review, words, said):
    code, _, err = review(*words)
    assert code == 2
    assert "ASSAY-C012" in err
    assert said in err
    assert "fix:" in err


@pytest.mark.parametrize(("option", "value", "said"), [
    ("--trusted-header", "Cookie", "no other meaning"), ("--trusted-header", "host", "no other"),
    ("--trusted-header", "X-Assay-Csrf", "no other"), ("--trusted-header", "a b", "no other"),
    ("--trusted-header", "Assay-Proxy-Secret", "no other"), ("--trusted-header", "a_b", "no other"),
    ("--proxy", "proxy.example.org", "--proxy must be an IP address"),
    ("--proxy", "10.0.0.0/8", "--proxy must be an IP address"),
    ("--origin", "http://review.example.org", "--origin must be the https address"),
    ("--origin", "https://review.example.org/x", "--origin must be the https address"),
    ("--origin", "https://a@review.example.org", "--origin must be the https address"),
    ("--origin", "review.example.org", "--origin must be the https address"),
    ("--origin", "https://x:99999", "--origin must be the https address"),
    ("--proxy-secret", "short", "one word of 32 characters"),
    ("--proxy-secret", "two words " * 9, "one word of 32 characters"),
    ("--proxy-secret", None, "cannot be read"),
])  # fmt: skip
def test_a_proxy_that_is_described_wrongly_is_refused(tmp_path, review, option, value, said):
    secret = tmp_path / "secret"
    write(secret, value if option == "--proxy-secret" and value else "s" * 40)
    given = dict(zip(PROXY[::2], PROXY[1::2], strict=True)) | {"--users": "u"}
    given["--proxy-secret"] = str(secret if value is not None else tmp_path / "none")
    if option != "--proxy-secret":
        given[option] = value
    code, _, err = review(*(word for pair in given.items() for word in pair))
    assert code in (2, 3)
    assert said in err


def test_a_refusal_imports_nothing_heavy(tmp_path):
    missing = str(tmp_path / "none")
    for words in (["--host", "0.0.0.0"], ["--users", missing], ["--users", missing, "--add-user",  # noqa: S104
                  "anna"], ["--help"]):  # fmt: skip
        code = (
            "import sys; from pipelines.cli import main\n"
            f"try: main({['review', *words]!r})\n"
            "except SystemExit: pass\n"
            "print(' '.join({name.partition('.')[0] for name in sys.modules}))"
        )
        done = subprocess.run(
            [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
        )  # fmt: skip
        assert not HEAVY & set(done.stdout.splitlines()[-1].split()), words


# certificate and key


def test_a_certificate_and_its_key_are_taken(tmp_path):
    tls, names = certificates.loaded(*certificate_in(tmp_path, ("a.example", "::1", "*.b.example")))
    assert tls is not None
    assert names == ("a.example", "*.b.example", "::1")
    hosts = {"a.example": True, "x.b.example": True, "[::1]": True, "b.example": False,
             "x.y.b.example": False, "127.0.0.1": False, "*.b.example": True}  # fmt: skip
    assert {host: certificates.is_named(host, names) for host in hosts} == hosts


def spoil(kind, folder):
    """Spoil a certificate or its key in one way; returns both files."""
    days = {"expired": (-30, -1), "early": (1, 30)}.get(kind, (-1, 30))
    names = () if kind == "nameless" else ("localhost",)
    certificate, key = certificate_in(folder, names, days=days)
    if kind == "other key":
        (folder / "other").mkdir()
        key = certificate_in(folder / "other")[1]
    elif kind == "locked key":
        lock = serialization.BestAvailableEncryption(b"secret")
        form = serialization.PrivateFormat.PKCS8
        made = ec.generate_private_key(ec.SECP256R1())
        key.write_bytes(made.private_bytes(serialization.Encoding.PEM, form, lock))
    elif kind == "open key":
        key.chmod(0o644)
    elif kind.startswith("no "):
        {"no certificate": certificate, "no key": key}[kind].unlink()
    elif kind.startswith("broken"):
        {"broken certificate": certificate, "broken key": key}[kind].write_bytes(b"\x00\xff")
    elif kind == "folder":
        key.unlink()
        key.mkdir()
    return certificate, key


@pytest.mark.parametrize(("kind", "said"), [
    ("expired", "the certificate expired on"), ("early", "the certificate is valid only from"),
    ("nameless", "the certificate names no host"),
    ("other key", "the private key is not that of the certificate"),
    ("locked key", "the private key has a password"),
    ("open key", "other users can read or change the private key"),
    ("no certificate", "the certificate cannot be read"), ("no key", "private key cannot be read"),
    ("broken certificate", "the certificate is not a PEM file"),
    ("broken key", "the private key is not a PEM file"), ("folder", "the private key is a folder"),
])  # fmt: skip
def test_a_certificate_or_key_that_cannot_be_used_is_refused(tmp_path, kind, said):
    error = refusal(certificates.loaded, *spoil(kind, tmp_path))
    assert error.code == "ASSAY-E113"
    assert said in error.what


def test_the_command_refuses_a_bad_certificate_before_it_reads_the_store(tmp_path, path, review):
    write(path, f"anna viewer {STORED}\n")
    certificate, key = spoil("expired", tmp_path)
    words = (*FAR, "--users", path, "--tls-cert", certificate, "--tls-key", key)
    code, _, err = review(*words)
    assert code == 3
    assert "ASSAY-E113" in err
    assert review_page.CONTRACT not in err
