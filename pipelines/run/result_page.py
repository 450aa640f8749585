"""The page of a result as a template: what Great Expectations draws, with places for its results.

A page differs from another of the same contract in a few places only: the icon of each rule, the
count of its failing rows, the number observed, and the totals. `cut` finds them in a page of the
library, and `filled` writes them as the library does, which `agrees` confirms on pages drawn for
other results. What cannot be found, or is written otherwise, makes no template.
"""

import decimal
import locale
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from checks.rules.plain_statistics import OF_COLUMNS
from checks.rules.suite import NOT_NULL

Part: TypeAlias = str | list[Any]  # text of the library, or a place: its kind and whose it is

NULL = "expect_column_values_to_be_null"
_HEAD = '<span class="h6" >Status:</span> '
_OVERALL = {
    True: '<i class="fas fa-check-circle text-success" aria-hidden="true"></i> Succeeded',
    False: '<i class="fas fa-times text-danger" aria-hidden="true"></i> Failed',
}
_CELL = ' ><div class="show-scrollbars">'
_END = "</div></td>"
_ICON = f"{_CELL}\n                <span >\n                    <i class="
_STATUS = {
    True: ' class="hide-succeeded-validation-target-child"'
    f'{_ICON}"fas fa-check-circle text-success" ></i>',
    False: f'{_ICON}"fas fa-times text-danger" ></i>',
}
_SECTION = {True: ' hide-succeeded-validations-column-section-target-child" >', False: '" >'}
_TABLE = 'class="ml-2 mr-2 mt-0 mb-0 table-responsive'
_IDS = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_COUNT, _ROWS = 900_000_000, 918_273_645  # counts of no table


class Shown(NamedTuple):
    """What a page shows of one expectation.

    Attributes:
        kind: type of the expectation.
        column: its argument of that name, None if it has none.
        success: whether it is kept.
        result: its values by name, as `kept_docs.safe` leaves them.
    """

    kind: str
    column: str | None
    success: bool
    result: Mapping[str, Any]


def other_results(shown: Sequence[Shown], *, success: bool) -> list[Shown]:
    """Return results of the same form that no table has: all kept or all broken, by other numbers.

    Each has numbers of its own, so that a page of them tells which place is whose.
    """
    return [
        one._replace(
            success=success,
            result={key: _other(key, one, number) for key in one.result},
        )
        for number, one in enumerate(shown)
    ]


def _other(key: str, shown: Shown, number: int) -> Any:
    usual = shown.result[key]
    if key == "element_count":
        return _ROWS
    if key == "unexpected_count":
        return _COUNT + number
    if "percent" in key:
        return 12.3456789 + number / 7
    if key != "observed_value" or shown.kind in OF_COLUMNS or isinstance(usual, bool):
        return usual
    if isinstance(usual, int):
        return _COUNT + number
    return 1.23456789012345 + number / 7 if isinstance(usual, float) else usual


def has_kept_section(shown: Sequence[Shown]) -> bool:
    """Return whether all rules of some column are kept, which a page shows in its own way."""
    return any(all(shown[number].success for number in group) for group in _sections(shown))


def cut(page: str, shown: Sequence[Shown], *, success: bool) -> list[Part] | None:
    """Return the template of a page that the library drew, None if a place is not found.

    Args:
        page: of these results.
        shown: in the order of the suite.
        success: whether the whole is kept.
    """
    parts: list[Part] = []
    done = 0
    for place, mark, is_before in _places(shown):
        text = _text(place, shown, success=success)
        found = page.find(mark, done)
        start = found - len(text) if is_before else found + len(mark)
        if found < 0 or start < done or not page.startswith(text, start):
            return None
        parts += [page[done:start], place]
        done = start + len(text)
    return [*parts, page[done:]]


def filled(parts: Sequence[Part], shown: Sequence[Shown], *, success: bool) -> str:
    """Return the page that the library would draw of these results."""
    return "".join(
        part if isinstance(part, str) else _text(part, shown, success=success) for part in parts
    )


def agrees(parts: Sequence[Part], page: str, shown: Sequence[Shown], *, success: bool) -> bool:
    """Return whether a page of the library is the filled one, but for ids drawn by chance."""
    made = filled(parts, shown, success=success)
    return _IDS.sub("", made) == _IDS.sub("", page)


def _sections(shown: Sequence[Shown]) -> list[list[int]]:
    """Return the numbers of the rules of each section, in the order of the page."""
    grouped: dict[str, list[int]] = {}
    for number, one in enumerate(shown):
        grouped.setdefault("" if one.column is None else f"c{one.column}", []).append(number)
    return [grouped[name] for name in sorted(grouped)]


def _places(shown: Sequence[Shown]) -> Iterator[tuple[list[Any], str, bool]]:
    """Yield each place, the text that it is next to, and whether it is before that text."""
    yield ["overall"], _HEAD, False
    totals = ["kept", "broken", "share"] if shown else []
    for row, name in enumerate(totals, 2):
        yield [name], f'<td id="section-1-content-block-2-cell-{row}-2"{_CELL}', False
    for section, group in enumerate(_sections(shown), 2):
        block = f"section-{section}-content-block-2"
        yield ["section", *group], f'<div id="{block}" {_TABLE}', False
        for row, number in enumerate(group, 1):
            cell = f'<td id="{block}-cell-{row}'
            yield ["status", number], f'{cell}-1"', False
            if shown[number].kind in _UNWORDED:
                yield ["warning", number], f'{cell}-2"', False
            yield ["statement", number], f'{_END}{cell}-3"{_CELL}', True
            if shown[number].kind not in OF_COLUMNS:
                yield ["observed", number], f'{cell}-3"{_CELL}', False


def _text(place: list[Any], shown: Sequence[Shown], *, success: bool) -> str:
    """Return what the library writes at a place."""
    kind, *numbers = place
    if kind == "overall":
        return _OVERALL[success]
    if kind == "section":
        return _SECTION[all(shown[number].success for number in numbers)]
    if kind in _OF_ONE:
        return _OF_ONE[kind](shown[numbers[0]])
    kept = sum(one.success for one in shown)
    if kind == "share":
        return f"{_number(100.0 * kept / len(shown), 4)}%"
    return str(kept if kind == "kept" else len(shown) - kept)


def _status(shown: Shown) -> str:
    return _STATUS[shown.success]


def _statement(shown: Shown) -> str:
    """Return how many rows break a rule, empty if it is kept or does not count them."""
    given = shown.result
    if shown.success or not given.get("unexpected_count"):
        return ""
    count, rows = (_number(given[k], 20, grouped=True) for k in _COUNTED)
    share = _number(given["unexpected_percent"], 4)
    return (
        '\n                <strong class="text-danger" >\n                    <br><br>'
        f"{count} unexpected values found. {share}% of {rows} total rows."
        "\n                </strong>\n            "
    )


def _warning(shown: Shown) -> str:
    """Return what marks a cell that holds nothing but the arguments of a rule without words."""
    return "" if _statement(shown) else ' class="alert alert-warning"'


def _observed(shown: Shown) -> str:
    """Return the number observed, `--` if there is none or it is withheld."""
    share = shown.result.get("unexpected_percent")
    if shown.kind in _FILLED:
        word = _FILLED[shown.kind]
        if "unexpected_percent" not in shown.result:
            return f"unknown % {word}"
        filled_share = "NaN" if share is None else _number(100 - share, 5, grouped=True)
        return f"{filled_share}% {word}"
    value = shown.result.get("observed_value")
    if value is None:
        return "--" if share is None else f"{_number(share, 5)}% unexpected"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return _number(value, 10, grouped=True) if is_number else str(value)


_COUNTED = ("unexpected_count", "element_count")
_FILLED = {NOT_NULL: "not null", NULL: "null"}
_UNWORDED = frozenset({"expect_column_pair_values_to_be_in_set"})
_OF_ONE = {
    "status": _status,
    "statement": _statement,
    "warning": _warning,
    "observed": _observed,
}


def _number(value: float, digits: int, *, grouped: bool = False) -> str:
    """Return a number as the library writes it: marked if digits are lost, no zeros at its end."""
    point = str(locale.localeconv()["decimal_point"])
    text = f"{value!r}{point}0" if isinstance(value, int) else repr(value)
    exact = decimal.Context(prec=digits).create_decimal(text)
    shown = format(exact, "n" if grouped else "g")
    if value != locale.atof(shown):
        shown = f"≈{shown}"
    if "e" not in shown and "E" not in shown and point in shown:
        shown = shown.rstrip("0").rstrip(point)
    return shown
