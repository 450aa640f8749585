"""Contracts that are an attack or a mistake, through the command line: code, place, advice."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import bad_contracts
import pytest

from checks.contract.loader import load
from pipelines import cli
from provenance.base.errors import AssayError

ASSAY = str(Path(sys.executable).parent / "assay")
MIB = 1 << 20
# one of each kind in a process of its own, the most expensive ones among them
KINDS = [
    "alias", "bomb", "1 MiB of balanced brackets", "half a million values", "100,000 keys",
    "python tag", "UTF-16 without a mark", "key of a megabyte", "two documents", "property",
    "option of a check", "number of 399 digits", "nothing", "count of counts", "name of a megabyte",
    "column in another case", "cases that double", "names that double", "a million steps, source",
]  # fmt: skip


def written(folder, contract):
    path = folder / "contract.yaml"
    path.write_bytes(contract if isinstance(contract, bytes) else contract.encode())
    return path


def refused(told, code, place, advice):
    assert (told["schema"], told["verdict"], told["run"]) == ("assay.run/1", "error", None)
    error = told["error"]
    assert error["code"] == f"ASSAY-{code}", error
    assert "contract.yaml:" in error["where"]
    assert error["where"].endswith(place), error
    assert len(error["where"].rsplit(":", 2)) == 3  # file, line and column
    assert advice in error["fix"], error
    assert error["fix"]
    assert len(error["message"]) < 800


@pytest.mark.parametrize(
    ("_", "contract", "code", "place", "advice"),
    bad_contracts.CASES,
    ids=[f"{case[2]}-{case[0]}" for case in bad_contracts.CASES],
)
def test_each_is_refused_where_it_is_wrong(tmp_path, capsys, _, contract, code, place, advice):
    path = written(tmp_path, contract)
    if code is None:
        load(path)  # a near miss
        return
    words = ["run", str(path), "--json", "--direct", "--store", str(tmp_path / "store")]
    assert cli.main(words) == 2
    printed = capsys.readouterr()
    refused(json.loads(printed.out), code, place, advice)
    assert "Traceback" not in printed.err
    assert sorted(tmp_path.iterdir()) == [path]


def measured(words):
    """Return (exit code, stdout, stderr, MiB at most) of a command."""
    with subprocess.Popen(
        [ASSAY, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        out, err = process.stdout.read(), process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, out, err, used.ru_maxrss // 1024


@pytest.fixture(scope="module")
def footprint(tmp_path_factory):
    """MiB of a run that is refused before anything but the imports."""
    folder = tmp_path_factory.mktemp("plain")
    path = written(folder, bad_contracts.HEAD)
    code, out, _, most = measured(["run", path, "--json", "--store", folder / "store"])
    assert (code, json.loads(out)["error"]["code"]) == (2, "ASSAY-C012")  # it names no source
    return most


@pytest.mark.parametrize("name", KINDS)
def test_refusals_take_little_memory_in_a_process_of_their_own(tmp_path, footprint, name):
    (found,) = [case for case in bad_contracts.CASES if case[0] == name and case[2]][:1]
    _, contract, code, place, advice = found
    path = written(tmp_path, contract)
    exit_code, out, err, most = measured(["run", path, "--json", "--store", tmp_path / "store"])
    assert exit_code == 2
    refused(json.loads(out), code, place, advice)
    assert "Traceback" not in err
    assert f"ASSAY-{code}" in err
    assert most < footprint + 512  # MiB: bad inputs may not take more
    assert sorted(tmp_path.iterdir()) == [path]


HIDDEN = "hidden5b1f"
NO_CONTRACTS = {
    "shadow": f"root:$6$salt${HIDDEN}:19702:0:99999:7:::\ndaemon:*:19702:0:99999:7:::\n",
    "shadow of one line twice": f"root:$6$salt${HIDDEN}:19702:0:99999:7:::\n" * 2,
    "passwd": f"root:x:0:0:{HIDDEN}:/root:/bin/bash\nbin:x:1:1:bin:/usr/sbin:/bin/false\n",
    "private key": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{HIDDEN}==\n-----END KEY-----\n",
    "environment": f"DB_PASSWORD={HIDDEN}\nURL=https://user:{HIDDEN}@host\n",
    "environment, quoted": f'DB_PASSWORD="{HIDDEN}: x"\n',
    "environment with a colon at the end": f"DB_PASSWORD={HIDDEN}:\n",
    "environment as YAML": f"DB_PASSWORD: {HIDDEN}\n",
    "token": HIDDEN,
    "token and a colon": f"{HIDDEN}:\n",
    "token and a colon, twice": f"{HIDDEN}:\n{HIDDEN}:\n",
    "JSON token": f'{{"access_token": "{HIDDEN}", "expires_in": 3600}}',
    "JSON token with names of ours": f'{{"name": "x", "id": "{HIDDEN}", "token": "{HIDDEN}"}}',
    "JSON by secrets": f'{{"{HIDDEN}": {{"scope": "all"}}}}',
    "JSON lines": f'{{"token": "{HIDDEN}"}}\n{{"token": "{HIDDEN}"}}\n',
    "Kubernetes": f"apiVersion: v1\nkind: Secret\ndata: {{password: {HIDDEN}}}\n",
    "credentials": f"[default]\naws_secret_access_key = {HIDDEN}\n",
    "netrc": f"machine host login user password {HIDDEN}\n",
    "password file": f"host:5432:db:user:{HIDDEN}\nhost:5432:db:user:{HIDDEN}:\n",
    "CSV": f"name,password\nanna,{HIDDEN}\n",
    "two colons": f"{HIDDEN}: b: c\n",
    "open quote": f'"{HIDDEN}\n',
    "directive": f"%{HIDDEN}!\n---\n",
    "tag": f"!{HIDDEN}!x y\n",
    "alias": f"*{HIDDEN} : x\n",
    "anchor": f"a: &{HIDDEN} x\n",
    "odd sign": f"@{HIDDEN}\n",
    "not UTF-8": HIDDEN.encode() + b"\xff\n",
    "control character": f"{HIDDEN}\x07\n",
    "reserved sign": f"a: `{HIDDEN}\n",
    "key that is a list": f"? [{HIDDEN}]\n: x\n",
}


@pytest.mark.parametrize("how", [[], ["--json"], ["--debug"]])
@pytest.mark.parametrize("name", NO_CONTRACTS)
def test_nothing_is_shown_of_a_file_that_is_no_contract(tmp_path, capsys, name, how):
    content = NO_CONTRACTS[name]
    path = tmp_path / "contract.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert cli.main(["run", str(path), "--direct", "--store", str(tmp_path / "store"), *how]) == 2
    printed = capsys.readouterr()
    told = printed.out + printed.err
    assert HIDDEN not in told
    assert re.search(r"ASSAY-C00[1-5]", told)
    assert re.search(r"contract\.yaml:\d+:\d+", told)  # so that a person can look


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("shcema: []\n", "'shcema'"),
        ("name: x\nowner: y\n", "'owner'"),
        ("owner: y\n", "an unknown"),
    ],
)
def test_a_misspelt_key_is_shown_and_one_of_another_file_is_not(tmp_path, text, told):
    (tmp_path / "contract.yaml").write_text(text)
    with pytest.raises(AssayError, match="C004") as caught:
        load(tmp_path / "contract.yaml")
    assert told in caught.value.what


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "NUL", "unreadable"])
def test_what_is_no_file_is_refused(tmp_path, capsys, kind):
    path = tmp_path / "contract.yaml"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "NUL":
        path = Path("a\0b")
    elif kind == "unreadable":
        path = Path("/proc/self/mem")
    assert cli.main(["run", str(path), "--json", "--store", str(tmp_path / "store")]) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["error"]["code"] == "ASSAY-C011"
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    "words", [["run"], ["run", "a", "b"], ["rnu", "a"], ["run", "a", "--frce"]]
)
def test_commands_that_cannot_be_understood(capsys, words):
    assert cli.main([*words, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "ASSAY-C012"


def test_every_code_of_contracts_has_cases():
    seen = {case[2] for case in bad_contracts.CASES}
    assert seen == {None, *(f"C{n:03}" for n in range(1, 11))}
