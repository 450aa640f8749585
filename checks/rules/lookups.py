"""What Great Expectations looks up again and again, looked up once: names, configurations, ids.

The library searches the list of all columns for each metric, which is quadratic in columns, makes
each expectation and its configuration anew some hundred times, follows what a metric depends on for
each that depends on it, and walks plain arguments as if they held arrays. The answers are the same.
Private parts of the library are used, so its version is pinned: see docs/adr/0003.
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
    """Keep the configuration of each expectation, none of which may change meanwhile, and back."""
    from great_expectations.expectations.expectation import Expectation
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    configurations: Any = Expectation
    expectations: Any = ExpectationConfiguration
    usual, make = configurations.configuration, expectations.to_domain_obj
    kept: dict[int, tuple[Any, Any]] = {}  # with the expectation, so that no other has its id
    made: dict[int, Any] = {}  # by the id of a configuration that is kept

    def configuration(expectation: Any) -> Any:
        if id(expectation) not in kept:
            kept[id(expectation)] = (expectation, usual.fget(expectation))
            made[id(kept[id(expectation)][1])] = None
        return kept[id(expectation)][1]

    def to_domain_obj(given: Any) -> Any:
        if id(given) not in made:
            return make(given)
        if made[id(given)] is None:
            made[id(given)] = make(given)
        return made[id(given)]

    configurations.configuration = property(configuration)
    expectations.to_domain_obj = to_domain_obj
    try:
        yield
    finally:
        configurations.configuration, expectations.to_domain_obj = usual, make


@functools.cache
def follow_once() -> None:
    """Follow what a metric depends on once in each graph."""
    from great_expectations.validator.validation_graph import ValidationGraph

    usual = ValidationGraph.build_metric_dependency_graph

    @functools.wraps(usual)
    def build(graph: Any, metric_configuration: Any, *args: Any, **given: Any) -> None:
        followed = graph.__dict__.setdefault("_assay_followed", {})
        same = followed.get(metric_configuration.id)
        if same is None:
            usual(graph, metric_configuration, *args, **given)
            followed[metric_configuration.id] = metric_configuration
            return
        graph.set_metric_configuration_default_kwargs_if_absent(metric_configuration)
        metric_configuration.metric_dependencies = same.metric_dependencies

    replaced: Any = ValidationGraph
    replaced.build_metric_dependency_graph = build


@functools.cache
def name_plain_arguments() -> None:
    """Make the id of arguments that are numbers and texts without a search for arrays in them."""
    import hashlib
    import json

    from great_expectations.core.id_dict import IDDict

    usual = IDDict.to_id
    known: dict[Any, str] = {}  # with the types, since 1 and 1.0 are equal

    @functools.wraps(usual)
    def to_id(given: Any, *args: Any, **named: Any) -> Any:
        is_plain = len(given) > 1 and not args and not named and not given._id_ignore_keys  # noqa: SLF001
        if not is_plain or not {type(value) for value in given.values()} <= _PLAIN:
            return usual(given, *args, **named)
        key = tuple((name, type(value), value) for name, value in given.items())
        if key not in known:
            text = json.dumps(given, sort_keys=True).encode("utf-8")
            known[key] = hashlib.md5(text, usedforsecurity=False).hexdigest()
        return known[key]

    replaced: Any = IDDict
    replaced.to_id = to_id
