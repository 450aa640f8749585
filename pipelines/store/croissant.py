"""A Croissant 1.0 description of the clean dataset, for loaders and catalogues.

It has a FileObject with its digest for each clean part, one FileSet of them all, and one RecordSet
with a Field for each column. Types come from the files, texts and keys from the contract in the
run's folder. Paths are relative to that folder, so it can be moved or published unchanged.
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.store import staged_contract

FILE = "croissant.json"
CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
PARQUET = "application/x-parquet"  # the media type that Croissant readers know
ROWS, PARTS = "rows", "clean-parts"
# the standard's own context, with what its reference reader adds
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
} | {word: f"cr:{word}" for word in (
    "citeAs", "column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty",
    "fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField",
    "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate",
    "separator", "source", "subField", "transform",
)}  # fmt: skip
TYPES = {
    "boolean": "sc:Boolean",
    "unsigned": "sc:Integer",
    "integer": "sc:Integer",
    "number": "sc:Float",
    "decimal": "sc:Float",
    "date": "sc:Date",
    "time": "sc:Time",
    "timestamp": "sc:DateTime",
}
LINKS = {"license": "license", "homepage": "url"}  # an authoritative definition's type -> Croissant
_NUMBER = r"(?:0|[1-9]\d*)"
SEMANTIC = re.compile(rf"({_NUMBER}(?:\.{_NUMBER}){{0,2}})(-[0-9A-Za-z][0-9A-Za-z.-]*)?")


def croissant_of(
    number: int, facts: Mapping[str, Any], files: Sequence[Mapping[str, Any]], out: Path
) -> dict[str, Any]:
    """Return the JSON-LD of a run's clean dataset.

    Args:
        number: of the run.
        facts: the entry's body.
        files: name, size and sha256 of the run's files.
        out: the folder that holds them.
    """
    contract = staged_contract.recorded(facts, out).plain()
    parts = [file for file in files if file["name"].startswith("clean/")]
    schema = pq.read_schema(out / parts[0]["name"])
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": facts["dataset"],
        "description": _description(number, facts, contract),
        **_version(facts["contract"]["version"], number),
        "identifier": uuid.UUID(facts["run_id"]).urn,
        "datePublished": facts["time"],
        **_from_author(contract),
        "distribution": [*(_part(file) for file in parts), _all_parts()],
        "recordSet": [_rows(schema, contract["schema"][0]["properties"])],
    }


def _description(number: int, facts: Mapping[str, Any], contract: Mapping[str, Any]) -> str:
    rows = facts["rows"]
    given, version = contract.get("description"), facts["contract"]["version"]
    texts = [given] if isinstance(given, str) else []
    if isinstance(given, dict):
        texts += [
            given[key] for key in ("purpose", "usage", "limitations") if _text(given.get(key))
        ]
    texts.append(
        f"These are the {rows['clean']:,} clean rows of the {rows['source']:,} rows that Assay run"
        f" {number} examined under contract {facts['dataset']}"
        f"{f', version {version}' if version else ''}. Verdict: {facts['verdict']}."
    )
    return " ".join(text.strip() for text in texts)


def _version(version: str, number: int) -> dict[str, str]:
    """Return the contract's version with the run's number, if it makes a semantic version."""
    match = SEMANTIC.fullmatch(version)
    if not match:
        return {}
    core = ".".join([*match[1].split("."), "0", "0"][:3])
    return {"version": f"{core}{match[2] or ''}+run.{number}"}


def _from_author(contract: Mapping[str, Any]) -> dict[str, Any]:
    """Return what only the author can know, where the contract says it."""
    facts: dict[str, Any] = {}
    if _text(contract.get("tenant")):
        facts["creator"] = {"@type": "sc:Organization", "name": contract["tenant"]}
    given = contract.get("authoritativeDefinitions")
    for item in given if isinstance(given, list) else ():
        kind, url = (item.get("type"), item.get("url")) if isinstance(item, dict) else (None, None)
        if _text(kind) and kind in LINKS and _text(url):
            facts[LINKS[kind]] = url
    return facts


def _part(file: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": file["name"],
        "name": file["name"].rpartition("/")[2],
        "contentUrl": file["name"],
        "contentSize": f"{file['size']} B",
        "encodingFormat": PARQUET,
        "sha256": file["sha256"],
    }


def _all_parts() -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": PARTS,
        "name": PARTS,
        "description": "All parts of the clean dataset, ordered by name.",
        "encodingFormat": PARQUET,
        "includes": "clean/*.parquet",
    }


def _rows(schema: pa.Schema, properties: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    known = {item["name"]: item for item in properties}
    keys = [{"@id": _id(name)} for name in schema.names if known[name].get("primaryKey")]
    return {
        "@type": "cr:RecordSet",
        "@id": ROWS,
        "name": ROWS,
        "description": "One record per clean row.",
        **({"key": keys} if keys else {}),
        "field": [_field(field, known[field.name]) for field in schema],
    }


def _field(field: pa.Field, declared: Mapping[str, Any]) -> dict[str, Any]:
    from provenance.rows import digest  # no other append to the ledger needs it

    description = declared.get("description")
    return {
        "@type": "cr:Field",
        "@id": _id(field.name),
        "name": field.name,
        **({"description": description} if _text(description) else {}),
        **_type(digest.kind_of(field)),
        "source": {"fileSet": {"@id": PARTS}, "extract": {"column": field.name}},
    }


def _type(kind: Any) -> dict[str, Any]:
    """Return a column's type; `repeated` for a list of values, which may hold objects."""
    if isinstance(kind, str):
        return {"dataType": TYPES.get(kind.partition(":")[0], "sc:Text")}
    if kind[0] == "list":
        return {**_type(kind[1]), "repeated": True}
    return {"dataType": "sc:StructuredValue"}


def _id(column: str) -> str:
    return f"{ROWS}/{quote(column, safe='')}"


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
