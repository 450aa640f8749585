r"""The gates as derived from the pinned Presidio, so that most scans never import it.

`gates.json` holds, by entity, the patterns as (gate, sign, score, sure) and the context words as
RE2; `\d` in a gate stands for DIGITS. `benchmarks/pii.py --table` writes it anew, and a test holds
it against the installed recognizers.
"""

import json
from pathlib import Path
from typing import TypeAlias

Row: TypeAlias = tuple[str, str, float, bool]
Known: TypeAlias = tuple[tuple[Row, ...], str]

PATH = Path(__file__).with_name("gates.json")
_STORED = json.loads(PATH.read_text("utf-8"))
# every decimal digit that the regex module knows; RE2's own list is shorter
DIGITS: str = _STORED["digits"]
PATTERNS: dict[str, Known] = {
    entity: (tuple((row[0], row[1], row[2], row[3]) for row in rows), words)
    for entity, (rows, words) in _STORED["patterns"].items()
}


def text_of(digits: str, patterns: dict[str, Known]) -> str:
    """Return the text of `gates.json`."""
    return json.dumps({"digits": digits, "patterns": patterns}, indent=1, sort_keys=True) + "\n"
