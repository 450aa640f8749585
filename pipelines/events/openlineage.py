"""Reports a run as OpenLineage 2-0-2 events: START, then COMPLETE, FAIL or ABORT.

COMPLETE: everything was checked, whatever the verdict. FAIL: something could not be checked, or
the run was refused. ABORT: interrupted. Standard facets only: the result of each check and the
reasons of the verdict (test), rows and bytes (statistics), digests (version), columns (schema).
Why this is not the library: docs/adr/0007.
"""

import contextlib
import dataclasses
import datetime as dt
import functools
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from checks.kit.verdict import UNRUN
from pipelines import config
from pipelines.store.outcome import Committed, Outcome
from provenance.base import atomic
from provenance.ledger.run_files import FATES
from provenance.ledger.segments import DIGITS

SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
FACETS = {
    "ErrorMessageRunFacet": "1-0-1",
    "InputStatisticsInputDatasetFacet": "1-0-0",
    "JobTypeJobFacet": "2-0-4",
    "OutputStatisticsOutputDatasetFacet": "1-0-2",
    "ProcessingEngineRunFacet": "1-1-1",
    "SchemaDatasetFacet": "1-2-0",
    "SymlinksDatasetFacet": "1-0-1",
    "DatasetVersionDatasetFacet": "1-0-1",
    "TagsRunFacet": "1-0-0",
    "TestRunFacet": "1-0-1",
}


@contextlib.contextmanager
def telling(
    kind: str, dataset: str, run_id: str, committed: Committed, sources: Sequence[str] = ()
) -> Iterator[None]:
    """Tell that a run starts and how it ends, if someone asked for it; never raises of its own.

    Args:
        kind: `run` or `release`.
        dataset: the contract's name.
        run_id: 32 hex digits; the run of the events has the same.
        committed: holds the outcome once there is one; an interrupt that cuts the sending short is
            noted there.
        sources: the files that are about to be read.
    """
    target = config.lineage_target()
    if target is None:
        yield
        return
    from pipelines.events.delivery import Sink

    sink, story = Sink(target), _Story(kind, dataset, run_id, target.namespace)
    local = [_file(source) for source in sources if "://" not in source]  # a URL may hold a key
    sink.put(functools.partial(story.event, "START", _now(), inputs=local))
    try:
        yield
    except BaseException as error:
        is_stop = isinstance(error, KeyboardInterrupt | SystemExit)
        why = "interrupted" if is_stop else _message(error)
        word = "ABORT" if is_stop else "FAIL"
        sink.put(functools.partial(story.event, word, _now(), facets=story.failure(why)))
        raise
    else:
        if committed.outcome:
            sink.put(functools.partial(story.ended, committed.outcome, _now()))
    finally:
        if sink.close() and committed.outcome:
            committed.is_interrupted = True


@dataclasses.dataclass(frozen=True, slots=True)
class _Story:
    """The events of one run."""

    kind: str
    dataset: str
    run_id: str
    namespace: str

    def event(
        self, word: str, moment: str, *, facets: Mapping[str, Any] | None = None, **datasets: Any
    ) -> dict[str, Any]:
        """Return the event of a transition; `datasets` are `inputs` and `outputs`."""
        engine = _facet("ProcessingEngineRunFacet", name="Assay", version=_version())
        job = _facet(
            "JobTypeJobFacet",
            processingType="BATCH",
            integration="ASSAY",
            jobType=self.kind.upper(),
        )
        return {
            "eventType": word,
            "eventTime": moment,
            "run": {
                "runId": str(uuid.UUID(self.run_id)),
                "facets": {"processing_engine": engine, **(facets or {})},
            },
            "job": {
                "namespace": self.namespace,
                "name": f"{self.kind}.{self.dataset}",
                "facets": {"jobType": job},
            },
            "inputs": datasets.get("inputs", []),
            "outputs": datasets.get("outputs", []),
            "producer": _producer(),
            "schemaURL": SCHEMA,
        }

    def failure(self, why: str) -> dict[str, Any]:
        """Return the facet that says why a run did not finish."""
        told = _facet("ErrorMessageRunFacet", message=why, programmingLanguage="PYTHON")
        return {"errorMessage": told}

    def ended(self, outcome: Outcome, moment: str) -> dict[str, Any]:
        """Return the last event of a committed run."""
        facts = outcome.entry.facts
        facets = {"test": _tests(outcome), "tags": _tags(outcome)}
        if not facts["checked"]:
            unrun = [reason for reason in facts["reasons"] if reason["code"] in UNRUN]
            facets |= self.failure("; ".join(f"{r['code']}: {r['message']}" for r in unrun))
        return self.event(
            "COMPLETE" if facts["checked"] else "FAIL",
            moment,
            facets=facets,
            inputs=self.parents(outcome) if facts["kind"] == "release" else _inputs(facts),
            outputs=[self.output(fate, outcome) for fate in FATES],
        )

    def output(self, fate: str, outcome: Outcome) -> dict[str, Any]:
        """Return a dataset that a run wrote, under a name that stays the same from run to run."""
        files = [f for f in outcome.entry.facts["outputs"] if f["name"].startswith(f"{fate}/")]
        facets = {"symlinks": _place(outcome.folder / fate)}
        if fate == "clean":
            facets["schema"] = _columns(outcome.folder / files[0]["name"])
        statistics = _facet(
            "OutputStatisticsOutputDatasetFacet",
            rowCount=outcome.rows.as_dict()[fate],
            size=sum(file["size"] for file in files),
            fileCount=len(files),
        )
        made = self.fate(fate, outcome.entry.seq)
        made["facets"] |= facets
        return {**made, "outputFacets": {"outputStatistics": statistics}}

    def parents(self, outcome: Outcome) -> list[dict[str, Any]]:
        """Return the inputs of a release: the base run's datasets, and the decisions."""
        facts = outcome.entry.facts
        reviews = outcome.folder.parents[1] / "reviews"
        decided = [_file(str(reviews / f"{seq:0{DIGITS}}.parquet")) for seq in facts["reviews"]]
        return [*(self.fate(fate, facts["base"]) for fate in FATES), *decided]

    def fate(self, fate: str, run: int) -> dict[str, Any]:
        """Return a dataset of a run, with the run's number as its version."""
        version = _facet("DatasetVersionDatasetFacet", datasetVersion=str(run))
        name = f"{self.dataset}.{fate}"
        return {"namespace": self.namespace, "name": name, "facets": {"version": version}}


def _inputs(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the files that a run read, each with its digest as its version."""
    made = []
    for item in [*facts["inputs"], *facts["reference"]]:
        digest = f"sha256:{item['sha256']}"
        one = _file(item["name"])
        one["facets"] = {"version": _facet("DatasetVersionDatasetFacet", datasetVersion=digest)}
        if "rows" in item:
            read = {"rowCount": item["rows"], "size": item["size"], "fileCount": 1}
            statistics = _facet("InputStatisticsInputDatasetFacet", **read)
            one["inputFacets"] = {"inputStatistics": statistics}
        made.append(one)
    return made


def _tests(outcome: Outcome) -> dict[str, Any]:
    """Return the findings per check, which do not block alone, and each reason, which does."""
    made = []
    for status in outcome.statuses:
        is_run = status.status == "ok"
        found = f"{status.findings} findings in {status.rows} rows"
        made.append(
            {
                "name": status.check,
                "status": ("fail" if status.findings else "pass") if is_run else "skip",
                "severity": "error" if status.status in ("failed", "timeout") else "warn",
                "type": "check",
                "expected": "0 findings",
                "actual": found if is_run else "did not run",
            }
        )
    for reason in outcome.verdict.reasons:
        told = {"name": reason.code, "status": "fail", "severity": "error", "type": "reason"}
        made.append({**told, "description": reason.message})
    return _facet("TestRunFacet", tests=made)


def _tags(outcome: Outcome) -> dict[str, Any]:
    """Return the verdict and what identifies the ledger entry."""
    told = {
        "verdict": outcome.verdict.word,
        "run": str(outcome.entry.seq),
        "entry": outcome.entry.leaf.hex(),
    }
    tags = [{"key": key, "value": value, "source": "ASSAY"} for key, value in told.items()]
    return _facet("TagsRunFacet", tags=tags)


def _columns(part: Path) -> dict[str, Any]:
    import pyarrow.parquet as pq

    fields = [{"name": f.name, "type": str(f.type)} for f in pq.read_schema(part)]
    return _facet("SchemaDatasetFacet", fields=fields)


def _place(folder: Path) -> dict[str, Any]:
    where = {"namespace": "file", "name": os.path.realpath(folder), "type": "LOCATION"}
    return _facet("SymlinksDatasetFacet", identifiers=[where])


def _file(name: str) -> dict[str, Any]:
    """Return a file under the standard's name: its path, or the host and path of its URL."""
    scheme, is_address, rest = name.partition("://")
    if not is_address:
        return {"namespace": "file", "name": os.path.realpath(name)}
    host, _, path = rest.partition("/")
    return {"namespace": f"{scheme}://{host}", "name": path}


def _facet(kind: str, /, **fields: Any) -> dict[str, Any]:
    url = f"https://openlineage.io/spec/facets/{FACETS[kind]}/{kind}.json#/$defs/{kind}"
    return {"_producer": _producer(), "_schemaURL": url, **fields}


def _message(error: BaseException) -> str:
    coded = atomic.with_code(error)
    return f"{coded.code}: {coded.what}"


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _producer() -> str:
    return f"pkg:generic/assay@{_version()}"


@functools.cache
def _version() -> str:
    return metadata.version("assay")
