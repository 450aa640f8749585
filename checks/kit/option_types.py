"""Options of checks: what a check says that it takes.

A check names its options in `takes`, each with what it is:

- `whole`: a whole number of at least 1; `several`: of at least 2;
- `number`: above 0; `share`: 0 to 1; `flag`: true or false;
- `texts`: a list of texts; `columns`: a list of names of the contract's columns;
- `path`: relative to the contract's folder and below its root; `model`: the same, or the name of an
  installed package, which has no slash;
- a tuple: the words that a list may hold; a frozenset: the words of which it is one.
"""

from collections.abc import Mapping
from typing import TypeAlias

Kind: TypeAlias = str | tuple[str, ...] | frozenset[str]
Takes: TypeAlias = Mapping[str, Kind]

LEAST = {"whole": 1, "several": 2}
