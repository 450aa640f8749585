"""The types of a check's options.

A check lists its options in `takes`, each with a type:

- `whole`: an integer of at least 1; `several`: of at least 2;
- `number`: above 0; `share`: 0 to 1; `flag`: true or false;
- `texts`: a list of texts; `columns`: a list of names of the contract's columns;
- `path`: relative to the contract's folder and below its root; `model`: the same, or the name of an
  installed package, which has no slash;
- a tuple: a list of these words; a frozenset: one of these words.
"""

from collections.abc import Mapping
from typing import TypeAlias

Kind: TypeAlias = str | tuple[str, ...] | frozenset[str]
Takes: TypeAlias = Mapping[str, Kind]

LEAST = {"whole": 1, "several": 2}
