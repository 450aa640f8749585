"""What Great Expectations looks up again and again, looked up once: names, configurations, ids.

The library searches the list of all columns for each metric, which is quadratic in columns, makes
each expectation's configuration anew some hundred times, and walks plain arguments as if they held
arrays. The answers are the same. Private parts of the library are used, so its version is pinned:
see docs/adr/0003.
"""

import contextlib
import functools
from collections.abc import Iterable, Iterator
from typing import Any

_PLAIN = frozenset({str, int, float, bool, type(None)})


class Columns(list[str]):
    """The names of a table's columns, which the library looks up in constant time.

    Attributes:
        known: the same names.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Keep the names in order."""
        super().__init__(names)
        self.known = frozenset(self)


@functools.cache
def look_up_exact_names() -> None:
    """Answer for `Columns` what the library would find by a search; other lists are searched."""
    from great_expectations.expectations.metrics import util

    name_of_search = "_verify_column_names_exist_and_get_normalized_typed_column_names_map"
    search = getattr(util, name_of_search)

    @functools.wraps(search)
    def look_up(column_names: Any, batch_columns_list: Any, *args: Any, **given: Any) -> Any:
        names = column_names if isinstance(column_names, list) else [column_names]
        is_ours = isinstance(batch_columns_list, Columns) and batch_columns_list.known >= {*names}
        if is_ours and not args and not given.get("verify_only"):
            return [(name, name) for name in names]
        return search(column_names, batch_columns_list, *args, **given)

    setattr(util, name_of_search, look_up)


@contextlib.contextmanager
def kept_configurations() -> Iterator[None]:
    """Keep the configuration of each expectation, none of which may change meanwhile."""
    from great_expectations.expectations.expectation import Expectation

    usual: Any = Expectation.configuration
    kept: dict[int, tuple[Any, Any]] = {}  # with the expectation, so that no other has its id

    def configuration(expectation: Any) -> Any:
        if id(expectation) not in kept:
            kept[id(expectation)] = (expectation, usual.fget(expectation))
        return kept[id(expectation)][1]

    replaced: Any = Expectation
    replaced.configuration = property(configuration)
    try:
        yield
    finally:
        replaced.configuration = usual


@functools.cache
def name_plain_arguments() -> None:
    """Make the id of arguments that are numbers and texts without a search for arrays in them."""
    import hashlib
    import json

    from great_expectations.core.id_dict import IDDict

    usual = IDDict.to_id

    @functools.wraps(usual)
    def to_id(given: Any, *args: Any, **named: Any) -> Any:
        is_plain = len(given) > 1 and not args and not named and not given._id_ignore_keys  # noqa: SLF001
        if not is_plain or not {type(value) for value in given.values()} <= _PLAIN:
            return usual(given, *args, **named)
        text = json.dumps(given, sort_keys=True)
        return hashlib.md5(text.encode("utf-8"), usedforsecurity=False).hexdigest()

    replaced: Any = IDDict
    replaced.to_id = to_id
