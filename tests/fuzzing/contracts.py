"""The contract loader, the patterns and queries of contracts, decisions, recorded digests."""

import functools
import json
import os
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import bad_contracts
import pyarrow as pa
import yaml
from fuzzing.mutation import MOST, mutated
from fuzzing.target import Target, require

from checks.contract import loader, query_guard, query_inspector
from checks.contract.json_schema import json_schema
from checks.contract.node import Node
from checks.contract.query_guard import Guard
from checks.rules import suite
from pipelines.review import decision_file
from pipelines.run import reading
from pipelines.store.opinions import WORDS
from provenance.base.errors import AssayError
from provenance.files.checksum_file import recorded
from provenance.rows import cast

ROOT = Path(__file__).resolve().parents[2]
TYPES = {"age": "integer", "name": "string", "paid": "number", "day": "date", "at": "timestamp",
         "a b": "string", "is": "boolean"}  # fmt: skip
TEXTS = pa.array(["", "1", "x", "1e400", "2024-02-30", None, "12:00", "true", "01.02.2024"])
YAML_WORDS = (
    *(
        b": ",
        b"- ",
        b"\n  ",
        b"\n",
        b"{",
        b"}",
        b"[",
        b"]",
        b"&a ",
        b"*a",
        b"<<: ",
        b"!!str ",
        b"'",
    ),
    *(b'"', b"|\n", b"> ", b"# ", b"---\n", b"...\n", b"? ", b"%YAML 1.1\n", b"\t", b"\xc2\x85"),
    *(b"\xe2\x80\xa8", b"\xef\xbb\xbf", b'"\\u0000"', b'"\\ud800"', b"null", b"~", b"yes", b"off"),
    *(b".nan", b"-.inf", b"1e999", b"9" * 500, b"0x10", b"1_000", b"0o7", b"2024-01-01", b"[" * 99),
    *(b"${table}", b"assay.", b"../", b"/", b"x" * 5000, b"\0", b"\xff"),
)
CODES = ("ASSAY-C005", "ASSAY-C006", "ASSAY-C007", "ASSAY-C009")  # that a text can earn
_SQL = """SELECT FROM WHERE GROUP BY ORDER LIMIT WITH RECURSIVE AS UNION ALL JOIN LATERAL ON USING
    ( ) , ; . * || :: -> ? $1 -- /* */ ' " '' "" [ ] { } => := CASE WHEN THEN ELSE END IN EXISTS
    NOT NULL IS BETWEEN LIKE COPY ATTACH PRAGMA SET INSTALL read_csv('x') range(10) unnest(
    count(*) avg(age) people age name paid day COLUMNS(*) EXCLUDE REPLACE PIVOT UNPIVOT OVER
    PARTITION ROWS PRECEDING CAST TRY_CAST DATE INTERVAL TIMESTAMP ARRAY MAP STRUCT 1e999 0x1
    9999999999999999999999 ^ $ .* (a+)+ [^a] \\d \\p{L} {1000} (?i) (?: (?= \\1 x{0,1000} \\Q
    \\C LIST_TRANSFORM x->x+1 DISTINCT HAVING QUALIFY FILTER OFFSET VALUES TABLE generate_series("""
SQL_WORDS = tuple(word.encode() for word in _SQL.split())
DECISION_WORDS = (
    *(b"row", b"decision", b"value", b"reason", b"reviewer", b"release", b"reject", b"relabel"),
    *(b"redact", b"undo", b",", b'"', b"\n", b"\r", b"\0", b"9" * 5000, b"-1", b"1.0", b" 7 "),
    *(b"\xef\xbb\xbf", b"\xff", b"\xd9\xa3", b"x" * 140_000, b"by", b"action", b"_row", b"label"),
)


def targets() -> list[Target]:
    """Return the loader, what it hands to an engine, and two small files."""
    words = (*YAML_WORDS, *_keys())
    return [
        Target("contract", _contract_seeds, _contract, words, share=2),
        Target("rules", _rule_seeds, _rule, SQL_WORDS, change=_shuffled),
        Target("decisions", _decision_seeds, _decisions, DECISION_WORDS, share=0.5),
        Target("recorded", _recorded_seeds, _recorded, (b"a.csv", b" *", b"\n"), share=0.2),
    ]  # fmt: skip


def _contract(case: bytes, folder: Path) -> str:
    path = folder / "contract.yaml"
    path.write_bytes(case)
    # patterns and queries have a target of their own, for a process looks at them
    with mock.patch.object(
        query_guard, "_answers", lambda told: ([None] * told.count('"kind"'), 0)
    ):
        found = loader.load(path, root=folder)
        again = loader.load(path, root=folder)
    require(found == again, "a contract is read in two ways")
    require(set(folder.iterdir()) == {path}, "something was left beside the contract")
    reading.source_limits(found)
    for column in found.columns:
        values, codes = cast.cast(TEXTS, column.spec)
        require(len(values) == len(codes) == len(TEXTS), "a cast lost a cell")
        cast.describe(TEXTS.filter(codes.is_valid()), column.spec)
    kinds = sorted({clause.kind for clause in suite.clauses(found)})
    return f"taken {' '.join(kinds)} {len(found.warnings) > 0}"


def _rule(case: bytes, _: Path) -> str:
    text, is_query = case[1:].decode("utf-8", "replace"), bool(case[:1] > b"\x7f")
    watch = Guard("people", TYPES)
    node = Node(text, "contract.yaml", 1, 1, text=text, is_plain=False)
    with mock.patch.object(query_guard, "_answers", _forked):
        try:
            (watch.query(node, "age") if is_query else watch.pattern(node, "the pattern"))
            watch.settle()
        except AssayError as error:
            require(error.code in CODES, str(error))
            # the reason without what it names, so that a new reason is something new
            return error.code + re.sub(r"[^a-zA-Z ]|['\"].*", "", error.what)[:40]
    return "taken"


def _forked(told: str) -> tuple[list[dict[str, str] | None], int]:
    """Do what the guard does, in a process that need not import anything first."""
    answers, answer = os.pipe()
    database = _database()  # takes longer than all the rest; it has no threads that a fork loses
    child = os.fork()
    if child == 0:
        try:
            os.dup2(answer, 1)
            os.closerange(3, 256)
            inputs, output = os.memfd_create("asked"), os.fdopen(1, "w", closefd=False)
            os.write(inputs, told.encode())
            os.lseek(inputs, 0, os.SEEK_SET)
            sys.stdin, sys.stdout = os.fdopen(inputs), output
            with mock.patch.object(query_inspector, "locked", return_value=database):
                query_inspector.main()
        finally:
            os._exit(1)
    os.close(answer)
    with os.fdopen(answers, "rb") as stream:
        output = stream.read()
    _, status = os.waitpid(child, 0)
    return query_guard.answered(output), os.waitstatus_to_exitcode(status)


@functools.cache
def _database() -> Any:
    return query_inspector.locked()


def _shuffled(draw: random.Random, data: bytes, other: bytes) -> bytes:
    """Return a text of the words of two others."""
    words = [re.findall(rb"\w+|\s+|[^\w\s]", part[1:]) for part in (data, other)]
    made = words[0]
    for _ in range(draw.choice((1, 1, 2, 4))):
        place, taken = draw.randrange(len(made) + 1), draw.choice((words[1], list(SQL_WORDS)))
        end = draw.choice((place, place + 1, place + 4))
        at = draw.randrange(len(taken) + 1)
        new = taken[at : at + draw.choice((1, 3, 12))] * draw.choice((1, 1, 1, 2, 300))
        made[place:end] = [b" ", *new, b" "] if draw.random() < 0.5 else new
    return data[:1] + b"".join(made)[: MOST // 4]


def _decisions(case: bytes, folder: Path) -> str:
    path = folder / "d.csv"
    path.write_bytes(case)
    found = decision_file.read(path, "ann")
    for ask in found:
        names = [name for name in decision_file.SELECTORS if getattr(ask.selection, name)]
        require(bool(ask.decision) and len(names) <= 1, "an odd decision")
        for text in (ask.value, ask.reason, ask.column):
            pa.array([text], pa.string())
    known = {ask.decision for ask in found} & set(WORDS)
    return f"taken {' '.join(sorted(known))}"


def _recorded(case: bytes, folder: Path) -> str:
    (folder / "a.csv.sha256").write_bytes(case)
    found = recorded(str(folder / "a.csv"))
    require(found and re.fullmatch("[0-9a-f]{64}", found), "no digest")
    return "taken"


def _keys() -> Iterator[bytes]:
    """Return the words that contracts are made of."""
    shape = json.dumps(json_schema())
    yield from sorted({word.encode() for word in re.findall(r'"([A-Za-z_.]+)"', shape)})
    for name in ("pii", "labels", "outliers", "poison", "duplicates", "disclosure", "drift"):
        yield name.encode()


def _contract_seeds(_: Path) -> list[bytes]:
    texts = [case[1] for case in bad_contracts.CASES]
    texts += [(ROOT / "data_samples" / "contract.yaml").read_text()]
    page = (ROOT / "docs" / "contract.md").read_text()
    texts += [part.partition("```")[0] for part in page.split("```yaml\n")[1:]]
    raw = [text if isinstance(text, bytes) else text.encode() for text in texts]
    return [data for data in raw if len(data) <= MOST // 4]


def _rule_seeds(_: Path) -> list[bytes]:
    found = [b"\xffSELECT count(*) FROM people WHERE age > 1", b"\0^[a-z]+$"]
    for _, text, *_ in bad_contracts.CASES:
        for key, mark in (("query", b"\xff"), ("pattern", b"\0")):
            found += [mark + word.encode()[: MOST // 8] for word in _values(text, key)]
    return found


def _values(text: str | bytes, key: str) -> Iterator[str]:
    if len(text) > MOST:
        return
    try:
        tree = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError, UnicodeError):
        return
    waiting, steps = [tree], 0
    while waiting and steps < MOST:
        item, steps = waiting.pop(), steps + 1
        if isinstance(item, dict):
            waiting += item.values()
            if isinstance(item.get(key), str):
                yield item[key].replace("${table}", "people").replace("${column}", "age")
        elif isinstance(item, list):
            waiting += item


def _decision_seeds(_: Path) -> list[bytes]:
    draw = random.Random(1)
    whole = b"row,decision,value,reason,reviewer\n1,release,,ok,ann\n2,relabel,no,,\n3,undo,,,\n"
    found = [whole, b"row,decision\n1,release\n2,reject\n", b"_row,action,label,by\n7,redact,,me\n"]
    found += [b'\xef\xbb\xbfrow,decision,reason\r\n4,reject,"a\nb"\r\n', b"", b"row,decision\n"]
    return [*found, *(mutated(draw, whole, DECISION_WORDS) for _ in range(9))]


def _recorded_seeds(_: Path) -> list[bytes]:
    sum_ = b"0123456789abcdef" * 4
    return [sum_, sum_ + b"  a.csv\n", sum_ + b" *b.csv\n" + sum_ + b" *x/a.csv\n", b""]
