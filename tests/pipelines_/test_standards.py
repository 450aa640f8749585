"""What others read of a run, read with the libraries of the standards themselves."""

import base64
import dataclasses
import hashlib
import json
import re
import sys
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement, statement_pb2
from securesystemslib import dsse, exceptions
from securesystemslib.signer import SSlibKey

sys.path.append(str(Path(__file__).parent))

import openlineage_reader
import standards_fixture

from checks.kit.verdict import Verdict
from pipelines.checking.examine import Status
from pipelines.events import openlineage
from pipelines.store import manifest
from pipelines.store.outcome import Fated, Outcome
from pipelines.store.store import Store
from provenance.base import own_code
from provenance.base.errors import Notice
from provenance.ledger.entry import canonical

RUNS = ("run", "release")
# of mlcroissant 1.1 with rdflib 7.6 and pandas 3.1
pytestmark = [
    pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.reset_index"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return standards_fixture.make(tmp_path_factory.mktemp("standards"))


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read(folder):
    """Parse a manifest as the standard's own messages; a field that they lack is an error."""
    told = json.loads((folder / "manifest.json").read_text())
    whole = json_format.ParseDict(told, statement_pb2.Statement())
    statement.Statement.copy_from_pb(whole).validate()
    assert whole.predicate_type == "https://slsa.dev/provenance/v1"
    return whole, json_format.ParseDict(told["predicate"], provenance_pb2.Provenance())


@pytest.mark.parametrize("kind", RUNS)
def test_the_manifest_names_every_file_but_itself(made, kind):
    folder = getattr(made, kind)
    whole, _ = read(folder)
    names = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    told = {item.name: item.digest["sha256"] for item in whole.subject}
    assert told == {
        name: sha256(folder / name) for name in names - {"manifest.json", "manifest.dsse.json"}
    }
    assert told.keys() >= {"report.html", "contract.yaml", "croissant.json"}
    assert len(told) == len(whole.subject)
    if kind == "run":
        assert {name.partition("/")[0] for name in told} >= {"expectations", "models", "clean"}


@pytest.mark.parametrize("kind", RUNS)
def test_the_provenance_says_from_what_by_what_and_when(made, kind):
    _, slsa = read(getattr(made, kind))
    definition, details = slsa.build_definition, slsa.run_details
    assert definition.build_type == f"urn:assay:{kind}:1"
    told = {item.name: item.digest["sha256"] for item in definition.resolved_dependencies}
    store = made.home / "store"
    own = {
        "run": {name: sha256(made.home / name)
                for name in ("contract.yaml", "in/a.csv", "in/b.csv", "trusted.csv")},
        "release": {name: sha256(store / name)
                    for name in (f"runs/{1:012}/manifest.json", f"reviews/{2:012}.parquet")},
    }[kind]  # fmt: skip
    assert told == own | {"assay": own_code.facts()["sha256"]}
    given = json_format.MessageToDict(definition.external_parameters)
    named = [name for names in given.values() if isinstance(names, list) for name in names]
    assert sorted(named) == sorted(own)
    assert given.get("failOn") == ("error" if kind == "run" else None)
    assert details.metadata.started_on.seconds <= details.metadata.finished_on.seconds
    assert details.builder.version["assay"] == own_code.facts()["version"]
    for item in [*definition.resolved_dependencies, *details.byproducts]:
        assert item.uri or item.digest or item.content  # one of the three, says the standard
    outcome = json.loads(details.byproducts[0].content)
    assert outcome["rows"]["clean"] == 219
    assert outcome["verdict"] in ("pass", "fail")


def test_a_source_far_away_is_named_by_its_address(made):
    entry = Store(made.home / "store").find("1")
    facts = entry.facts
    facts["inputs"][0]["name"] = "s3://bucket/in/a.csv"
    facts["inputs"][1]["name"] = str(made.home.parent / "elsewhere" / "b.csv")
    told = manifest.manifest_of(1, facts, facts["outputs"], (), entry.key_id)["predicate"]
    json_format.ParseDict(told, provenance_pb2.Provenance())
    definition = told["buildDefinition"]
    assert definition["externalParameters"]["source"] == ["s3://bucket/in/a.csv", "b.csv"]
    uris = [item["uri"] for item in definition["resolvedDependencies"] if "uri" in item]
    assert uris == ["s3://bucket/in/a.csv", f"pkg:generic/assay@{facts['code']['version']}"]
    inputs = openlineage._inputs(facts)
    assert (inputs[0]["namespace"], inputs[0]["name"]) == ("s3://bucket", "in/a.csv")


@pytest.mark.parametrize("kind", RUNS)
def test_the_envelope_is_signed_and_a_changed_one_is_refused(made, kind):
    folder = getattr(made, kind)
    told = json.loads((folder / "manifest.dsse.json").read_text())
    secret = load_pem_private_key(
        (made.home / "config" / "assay" / "signing-key.pem").read_bytes(), password=None
    )
    key = SSlibKey.from_crypto(secret.public_key(), keyid=told["signatures"][0]["keyid"])
    envelope = dsse.Envelope.from_dict(json.loads(json.dumps(told)))
    assert envelope.verify([key], 1)
    assert envelope.payload == (folder / "manifest.json").read_bytes()
    assert envelope.payload_type == "application/vnd.in-toto+json"
    told["payload"] = base64.b64encode(envelope.payload.replace(b"fail", b"pass")).decode()
    with pytest.raises(exceptions.VerificationError):
        dsse.Envelope.from_dict(told).verify([key], 1)


def cells(value):
    """Return a cell as the reader of Croissant gives it."""
    return value.encode() if isinstance(value, str) else value


@pytest.mark.parametrize("kind", RUNS)
def test_croissant_reads_the_clean_rows_by_itself(made, kind):
    import mlcroissant
    import pandas as pd

    folder = getattr(made, kind)
    dataset = mlcroissant.Dataset(folder / "croissant.json")
    issues = dataset.metadata.ctx.issues
    assert not issues.errors
    assert [w for w in issues.warnings if "citeAs" not in w] == []
    clean = ds.dataset(folder / "clean").to_table()
    assert len(list((folder / "clean").iterdir())) == {"run": 1, "release": 2}[kind]
    names = {f"rows/{name}": name for name in clean.column_names} | {
        "rows/size%20in%20g": "size in g", "rows/o%27clock": "o'clock",
        "rows/F%C3%BC%C3%9Fe": "Füße",
    }  # fmt: skip
    rows = [{names[key]: value for key, value in row.items()} for row in dataset.records("rows")]
    expected = [{name: cells(value) for name, value in row.items()} for row in clean.to_pylist()]
    for row in expected:
        row["day"], row["at"] = pd.Timestamp(row["day"]), pd.Timestamp(row["at"])
    assert rows == expected
    assert len(rows) == 219


@pytest.mark.parametrize("kind", RUNS)
def test_croissant_describes_the_parts_and_columns(made, kind):
    folder = getattr(made, kind)
    told = json.loads((folder / "croissant.json").read_text())
    parts = [item for item in told["distribution"] if item["@type"] == "cr:FileObject"]
    assert {p["contentUrl"]: (p["sha256"], p["contentSize"]) for p in parts} == {
        f"clean/{path.name}": (sha256(path), f"{path.stat().st_size} B")
        for path in (folder / "clean").iterdir()
    }
    (rows,) = told["recordSet"]
    types = {field["name"]: field["dataType"] for field in rows["field"]}
    assert list(types.items()) == [
        ("id", "sc:Integer"), ("size in g", "sc:Float"), ("stamped", "sc:Boolean"),
        ("day", "sc:Date"), ("at", "sc:DateTime"), ("o'clock", "sc:Time"), ("Füße", "sc:Integer"),
        ("letter", "sc:Text"), ("kind", "sc:Text"),
    ]  # fmt: skip
    assert rows["key"] == [{"@id": "rows/id"}]
    assert rows["field"][0]["description"] == "Number of the letter."
    assert told["license"] == "https://spdx.org/licenses/CC0-1.0"
    assert told["url"] == "https://example.org/letters"
    assert told["creator"]["name"] == "Example Post"
    assert told["version"] == f"1.2.0+run.{int(folder.name)}"
    assert told["description"].startswith("Letters to sort. Made up. ")
    clean = ds.dataset(folder / "clean").count_rows()
    assert f" {clean} clean rows " in told["description"]


@pytest.mark.parametrize("kind", RUNS)
def test_nothing_published_tells_of_the_machine_or_a_person(made, kind):
    for name in ("manifest.json", "croissant.json"):
        text = (getattr(made, kind) / name).read_text()
        assert str(made.home) not in text
        assert "anna" not in text
        assert not re.search(r'"/|file:', text)


@pytest.mark.parametrize("name", ["croissant.json", "manifest.json", "manifest.dsse.json"])
def test_verify_holds_and_sees_a_change_in_each(made, name):
    words = ("verify", "3", "--store", "store")
    standards_fixture.assay(made.home, *words)
    path = made.release / name
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"\n", b" ", 1))
    try:
        done = standards_fixture.assay(made.home, *words, expect=(4,))
        assert f"{name} has the sha256" in done.stdout + done.stderr
    finally:
        path.write_bytes(whole)


def test_events_are_what_the_standard_has(made):
    events = [openlineage_reader.read(event) for event in made.events]
    assert [event.eventType.value for event in events] == ["START", "COMPLETE"] * 2
    assert [event.job.name for event in events] == ["run.letters"] * 2 + ["release.letters"] * 2
    for folder, pair in ((made.run, events[:2]), (made.release, events[2:])):
        told = json.loads((folder / "manifest.json").read_text())["predicate"]["runDetails"]
        identities = {event.run.runId.replace("-", "") for event in pair}
        assert identities == {told["metadata"]["invocationId"]}
        assert pair[0].eventTime <= pair[1].eventTime


def test_the_last_event_counts_rows_and_says_why(made):
    _, ended, _, released = made.events
    files = {Path(item["name"]).name: item for item in ended["inputs"]}
    assert {name: item["inputFacets"]["inputStatistics"]["rowCount"]
            for name, item in files.items() if "inputFacets" in item} == {
                "a.csv": 120, "b.csv": 102}  # fmt: skip
    for name, path in (("b.csv", "in/b.csv"), ("trusted.csv", "trusted.csv")):
        version = files[name]["facets"]["version"]["datasetVersion"]
        assert version == f"sha256:{sha256(made.home / path)}"
    for event, folder, rows in (
        (ended, made.run, (219, 3, 0)),
        (released, made.release, (219, 2, 1)),
    ):
        outputs = {item["name"]: item for item in event["outputs"]}
        counts = [outputs[f"letters.{fate}"]["outputFacets"]["outputStatistics"]
                  for fate in ("clean", "quarantine", "rejected")]  # fmt: skip
        assert tuple(count["rowCount"] for count in counts) == rows
        size = sum(path.stat().st_size for path in (folder / "clean").iterdir())
        assert counts[0]["size"] == size
        clean = outputs["letters.clean"]["facets"]
        assert clean["symlinks"]["identifiers"][0]["name"] == str(folder / "clean")
        assert clean["version"]["datasetVersion"] == str(int(folder.name))
        schema = ds.dataset(folder / "clean").schema
        assert [f["name"] for f in clean["schema"]["fields"]] == schema.names
        tags = {tag["key"]: tag["value"] for tag in event["run"]["facets"]["tags"]["tags"]}
        assert tags["run"] == str(int(folder.name))
    assert {(item["name"], item["facets"]["version"]["datasetVersion"])
            for item in released["inputs"] if item["namespace"] == "assay"} == {
        ("letters.clean", "1"), ("letters.quarantine", "1"), ("letters.rejected", "1")}  # fmt: skip
    tests = {test["name"]: test for test in ended["run"]["facets"]["test"]["tests"]}
    assert tests["ingest"]["actual"] == "1 findings in 1 rows"
    assert tests["ingest"]["status"] == "fail"
    assert tests["rescan"]["status"] == "pass"
    assert "anna" not in json.dumps(made.events)


def test_a_run_with_something_unchecked_failed_though_it_is_committed(made):
    entry = Store(made.home / "store").find("1")
    reason = Notice("ASSAY-K002", "the check pii did not run: it took too long")
    facts = {**entry.facts, "checked": False, "reasons": [reason.as_dict()]}
    outcome = Outcome(
        dataclasses.replace(entry, body=canonical(facts)), made.run,
        Verdict(passed=False, checked=False, reasons=(reason,)), Fated(**facts["rows"]),
        (Status("pii", "failed", findings=1), Status("drift", "skipped"), Status("shape", "ok")),
    )  # fmt: skip
    story = openlineage._Story("run", "letters", facts["run_id"], "assay")
    event = openlineage_reader.read(story.ended(outcome, "2026-01-01T00:00:00Z"))
    assert event.eventType.value == "FAIL"
    assert event.run.facets["errorMessage"].message == f"{reason.code}: {reason.message}"
    tests = [(test.name, test.status, test.severity) for test in event.run.facets["test"].tests]
    assert tests == [
        ("pii", "skip", "error"), ("drift", "skip", "warn"), ("shape", "pass", "warn"),
        ("ASSAY-K002", "fail", "error"),
    ]  # fmt: skip
    assert len(event.outputs) == 3
