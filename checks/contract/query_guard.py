"""What a contract may pass to an engine: RE2 patterns, and SQL that only reads the dataset.

The loader gathers them, and a separate process (`query_inspector`) checks them together under
limits on time, memory and files, because a few hundred characters of SQL can keep a parser busy for
hours. That process never executes them.
"""

import dataclasses
import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Mapping

from checks.contract.node import Node
from provenance.base.errors import AssayError
from provenance.rows.column_types import ColumnSpec

MAX_PATTERN = 1_000  # characters
MAX_QUERY = 10_000
CPU_SECONDS = 2  # for the process that checks them
ITEMS_A_SECOND = 200  # more patterns and queries get more time
WALL_SECONDS = 120.0  # even if the machine is busy
LOCK = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
}
SQL_TYPES = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "time": "TIME",
}
_CODES = {"pattern": "C006", "query": "C009"}


def sql_type(spec: ColumnSpec) -> str:
    """Return the SQL type of a column."""
    if spec.logical == "array" and spec.items:
        return f"{sql_type(spec.items)}[]"
    if spec.logical == "object":
        parts = [f"{quoted(part.name)} {sql_type(part)}" for part in spec.properties]
        return f"STRUCT({', '.join(parts)})" if parts else "MAP(VARCHAR, VARCHAR)"
    return SQL_TYPES[spec.logical]


def quoted(name: str) -> str:
    """Return a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


@dataclasses.dataclass(slots=True)
class Guard:
    """Gathers the patterns and queries of one contract, and has them checked.

    Attributes:
        table: the name under which the dataset is read.
        types: SQL type of each column, or its logical type.
        asked: place of each item, and the request to the process.
    """

    table: str
    types: Mapping[str, str]
    asked: list[tuple[Node, dict[str, str]]] = dataclasses.field(default_factory=list)

    def pattern(self, node: Node, what: str) -> str:
        """Return the node's pattern; C006 if it is too long, other faults are found by `settle`."""
        text = node.string(what)
        if len(text) > MAX_PATTERN:
            raise node.fail("C006", f"{what} is longer than {MAX_PATTERN} characters")
        self.asked.append((node, {"kind": "pattern", "name": what, "text": text}))
        return text

    def query(self, node: Node, column: str | None) -> str:
        """Return an SQL rule's query with its placeholders filled in; C009 if it is too long.

        Args:
            node: the text of the query.
            column: the property that holds the rule, for `${column}`.
        """
        text = self._filled(node, column)
        if len(text) > MAX_QUERY:
            raise node.fail("C009", f"the query is longer than {MAX_QUERY:,} characters")
        self.asked.append((node, {"kind": "query", "name": "the query", "text": text}))
        return text

    def settle(self, inspected: str = "") -> str:
        """Have all of them checked, and return a digest of them and of the columns.

        Args:
            inspected: the digest that this returned to a process that the caller trusts; if it is
                theirs, they are not checked again.

        Raises:
            AssayError: ASSAY-C006, C007 or C009 for the first one refused, E005 if the process
                could not start.
        """
        if not self.asked:
            return ""
        items = [item for _, item in self.asked]
        seconds = CPU_SECONDS + len(items) // ITEMS_A_SECOND
        request = {"table": self.table, "types": self.types, "items": items, "seconds": seconds}
        text = json.dumps(request)
        digest = hashlib.sha256(text.encode()).hexdigest()
        if digest == inspected:
            return digest
        answers, code = _answers(text)
        for (node, _), answer in zip(self.asked, answers, strict=False):
            if answer is not None:
                raise node.fail(answer["code"], answer["what"], fix=answer["fix"])
        if len(answers) < len(self.asked):
            raise self._unanswered(len(answers), code)
        return digest

    def _unanswered(self, number: int, code: int) -> AssayError:
        """Return the refusal of the item that ended the process; no item may pass unchecked."""
        node, item = self.asked[number]
        if code not in (-signal.SIGXCPU, -signal.SIGKILL, -signal.SIGSEGV, -signal.SIGABRT):
            what = f"the process that checks patterns and queries ended with code {code}"
            return AssayError("E005", what, where=node.where, fix="check free memory")
        what = f"parsing {item['name']} takes too much time or memory"
        return node.fail(_CODES[item["kind"]], what, fix="simplify the pattern or query")

    def _filled(self, node: Node, column: str | None) -> str:
        text = node.string("query")
        for word in ("table", "object", "model"):
            text = text.replace(f"${{{word}}}", quoted(self.table))
        for word in ("column", "property", "field"):
            if f"${{{word}}}" in text and column is None:
                raise node.fail("C009", f"${{{word}}} has a meaning only in a rule on a property")
            text = text.replace(f"${{{word}}}", quoted(column or ""))
        return text


def _answers(request: str) -> tuple[list[dict[str, str] | None], int]:
    """Return the answers in order, as many as the process gave, and its exit code."""
    command = [sys.executable, "-P", "-m", "checks.contract.query_inspector"]
    try:
        done = subprocess.run(
            command,
            input=request.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=WALL_SECONDS,
            check=False,
        )
        output, code = done.stdout, done.returncode
    except subprocess.TimeoutExpired as error:
        output, code = error.stdout or b"", -signal.SIGKILL
    except OSError as error:
        what = f"cannot start the process that checks patterns and queries: {error.strerror}"
        raise AssayError("E005", what, fix="check free memory") from error
    return answered(output), code


def answered(output: bytes) -> list[dict[str, str] | None]:
    """Return the complete answers, each a line of JSON."""
    lines = output.splitlines(keepends=True)
    return [json.loads(line) for line in lines if line[-1:] == b"\n"]
