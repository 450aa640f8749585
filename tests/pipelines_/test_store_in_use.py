"""A store in daily use: what is removed and told, what a copied command acts on, a lost key."""

import json
import shutil
from pathlib import Path

import pytest
from gated import Home

from pipelines import config
from pipelines.cli import main
from provenance.files import listing


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Home(tmp_path)


def test_a_folder_that_somebody_made_for_the_next_run_is_not_removed(home, capsys):
    home.passed()
    mine = home.store.run_folder(2) / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    capsys.readouterr()
    assert home.gate("--json") == 4
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "ASSAY-L013"
    assert mine.read_text() == "mine"


def test_what_a_dead_run_left_is_removed_and_told(home, capsys):
    home.passed()
    shutil.copytree(home.store.run_folder(1), home.store.run_folder(2))
    capsys.readouterr()
    assert home.gate() == 0
    assert "removed store/runs/000000000002: it had no entry" in capsys.readouterr().err
    assert not home.store.run_folder(2).exists()


@pytest.mark.parametrize("words", [[], ["--direct"]], ids=["gate", "run"])
def test_no_key_is_made_in_place_of_one_that_is_lost(home, capsys, words):
    home.passed()
    key = config.signing_key()
    key.unlink()
    command = ["run", "c.yaml", "--source", "a.csv", "--store", "store", "--json", *words]
    capsys.readouterr()
    assert (main(command) if words else home.gate("--json")) == 3
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["code"], error["where"]) == ("ASSAY-E003", str(key))
    assert not key.exists()


def test_no_key_is_made_in_the_store_that_it_would_sign(home, monkeypatch, capsys):
    monkeypatch.setenv("ASSAY_SIGNING_KEY", "store/k.pem")
    assert home.gate("--json") == 3
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "ASSAY-E003"
    assert not Path("store").exists()


def test_a_store_in_the_folder_of_its_source_is_no_source(home):
    Path("data").mkdir()
    shutil.copy("a.csv", "data/a.csv")
    home.passed()
    Path("store").rename("data/assay-store")
    assert listing.expand("data") == ["data/a.csv"]


@pytest.mark.parametrize("words", [["--export", "o.csv"], ["--apply", "d.csv"]])
@pytest.mark.parametrize(("name", "shown"), [("my store", " --store 'my store'"), (None, "")])
def test_a_command_to_be_copied_names_the_store_it_is_about(
    home, monkeypatch, capsys, words, name, shown
):
    home.passed()
    Path("d.csv").write_text("row,decision\n3,reject\n")
    Path("store").rename(name or "assay-store")
    monkeypatch.delenv("ASSAY_STORE", raising=False)
    capsys.readouterr()
    assert main(["review", "1", *words, *(["--store", name] if name else [])]) == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("next:")]
    assert f"{shown}`" in line


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: (path.mkdir(), (path / "x").touch())])
def test_nothing_holds_where_there_is_no_store(home, capsys, make):
    make(home.folder / "none")
    assert main(["verify", "--store", "none", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "ASSAY-C013"


def test_the_doctor_refuses_what_every_run_would(home, capsys):
    home.passed()
    Path("store/runs").chmod(0o777)
    (home.folder / "link").symlink_to("store")
    for name in ("store", "link", "."):
        main(["doctor", "--store", name, "--json"])
        lines = json.loads(capsys.readouterr().out)["lines"]
        [line] = [line for line in lines if line["name"] == "store"]
        assert not line["ok"], name
