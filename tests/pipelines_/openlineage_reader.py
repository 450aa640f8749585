"""Reads an event with the classes of the standard's own client, and refuses what they lack."""

from openlineage.client import event_v2
from openlineage.client import facet_v2 as facets
from openlineage.client.serde import Serde

FACETS = {
    "errorMessage": facets.error_message_run.ErrorMessageRunFacet,
    "inputStatistics": facets.input_statistics_input_dataset.InputStatisticsInputDatasetFacet,
    "jobType": facets.job_type_job.JobTypeJobFacet,
    "outputStatistics": facets.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
    "processing_engine": facets.processing_engine_run.ProcessingEngineRunFacet,
    "schema": facets.schema_dataset.SchemaDatasetFacet,
    "symlinks": facets.symlinks_dataset.SymlinksDatasetFacet,
    "tags": facets.tags_run.TagsRunFacet,
    "test": facets.test_run.TestRunFacet,
    "version": facets.dataset_version_dataset.DatasetVersionDatasetFacet,
}
PARTS = {
    "tests": facets.test_run.TestExecution,
    "tags": facets.tags_run.TagsRunFacetFields,
    "fields": facets.schema_dataset.SchemaDatasetFacetFields,
    "identifiers": facets.symlinks_dataset.Identifier,
}


def read(told):
    """Return an event as an object of the client; what it would send holds all of `told`."""
    datasets = {
        side: [_dataset(kind, item) for item in told[side]]
        for side, kind in (("inputs", event_v2.InputDataset), ("outputs", event_v2.OutputDataset))
    }
    made = event_v2.RunEvent(
        eventType=event_v2.RunState(told["eventType"]),
        eventTime=told["eventTime"],
        producer=told["producer"],
        run=event_v2.Run(told["run"]["runId"], facets=_facets(told["run"]["facets"])),
        job=event_v2.Job(**{**told["job"], "facets": _facets(told["job"]["facets"])}),
        **datasets,
    )
    _holds(Serde.to_dict(made), told, "event")
    return made


def _dataset(kind, told):
    named = {key: _facets(told[key]) for key in told.keys() - {"namespace", "name"}}
    return kind(told["namespace"], told["name"], **named)


def _facets(told):
    return {key: _facet(FACETS[key], facet) for key, facet in told.items()}


def _facet(kind, told):
    fields = {key: value for key, value in told.items() if not key.startswith("_")}
    for key, part in PARTS.items():
        if key in fields:
            fields[key] = [part(**item) for item in fields[key]]
    return kind(**fields, producer=told["_producer"])


def _holds(whole, part, where):
    """Assert that all of `part` stands in `whole`; addresses of schemas are among it."""
    if isinstance(part, dict):
        for key, value in part.items():
            assert key in whole, f"{where}.{key}"
            _holds(whole[key], value, f"{where}.{key}")
    elif isinstance(part, list):
        assert len(whole) == len(part), where
        for number, (one, other) in enumerate(zip(whole, part, strict=True)):
            _holds(one, other, f"{where}[{number}]")
    else:
        assert whole == part, where
