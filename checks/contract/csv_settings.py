"""How a contract says that its CSV files are written: `assay.csv`, or a server's `delimiter`.

The standard has a `delimiter` for servers, but no quote and no encoding, and none that holds for a
source named on the command line; so `assay.csv` on the contract says all three.
"""

from collections.abc import Mapping

from checks.contract.node import Node
from provenance.readers.csv_dialect import Dialect, codec_of, may_delimit

KEYS = ("delimiter", "quote", "encoding")
QUOTES = ('"', "'", "none")
# what the standard's `delimiter` says of JSON documents; lines are what is read anyway
JSON_LINES = "new_line"


def read(given: Mapping[str, Node], servers: Node | None) -> Dialect:
    """Return the dialect of a contract's CSV files.

    Args:
        given: the contract's own settings by name.
        servers: the node of `servers`, checked already.

    Raises:
        AssayError: ASSAY-C004 or C005 for what is no dialect, C008 for two delimiters.
    """
    told = given["assay.csv"].mapping("assay.csv", KEYS) if "assay.csv" in given else {}
    served = _served(servers)
    node = told.get("delimiter", served)
    delimiter = _delimiter(node) if node else ""
    if served and "delimiter" in told and _delimiter(served) != delimiter:
        what = f"assay.csv and the server, in line {served.line}, name two delimiters"
        raise told["delimiter"].fail("C008", what)
    quote = _quote(told["quote"]) if "quote" in told else '"'
    encoding = _encoding(told["encoding"]) if "encoding" in told else "utf-8"
    return Dialect(delimiter, quote, encoding)


def _served(servers: Node | None) -> Node | None:
    first = servers.value[0].value if servers and servers.value else {}
    node = first.get("delimiter") if isinstance(first, dict) else None
    form = first["format"].value if node and "format" in first else "csv"
    if node is None or form != "csv" or node.value == JSON_LINES:
        return None
    found: Node = node
    return found


def _delimiter(node: Node) -> str:
    char = node.string("the delimiter")
    if may_delimit(char):
        return char
    fix = 'give one ASCII character, such as ";", "|" or, in double quotes, "\\t"'
    raise node.fail("C005", "that is no delimiter", fix=fix)


def _quote(node: Node) -> str:
    word = node.choice("the quote", QUOTES)
    return "" if word == "none" else word


def _encoding(node: Node) -> str:
    found = codec_of(node.string("the encoding"))
    if found is None:
        fix = "e.g. utf-8, utf-16, latin-1, windows-1252, shift_jis, gb18030"
        raise node.fail("C005", "that is no encoding that is read", fix=fix)
    return found
