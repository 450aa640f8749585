"""The allow-list for the tree of an SQL rule: whatever it does not name is refused.

The tree is DuckDB's own, from `json_serialize_sql`. A rule may read the dataset, its own WITH
clauses where they are in scope, and the row generators; it may call the functions of `FUNCTIONS`,
which see only their arguments, return the same result each time and do not turn a number into a
long text or list. The current date is allowed, because "not in the future" is a useful rule.
"""

import difflib
from typing import Any

NEAR = 0.8  # how similar a function's name must be to be proposed
LONG = 100  # characters of a name beyond which none is proposed
GENERATORS = frozenset({"unnest", "range", "generate_series"})
# calls without parentheses; `current_date` and `current_timestamp` reveal nothing
_PLACES = frozenset(
    {"user", "current_user", "session_user", "current_role", "current_catalog", "current_schema"}
    | {"current_database", "current_time", "localtime"}
)
_CLASSES = frozenset(
    {"BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT"}
    | {"FUNCTION", "LAMBDA", "OPERATOR", "POSITIONAL_REFERENCE", "STAR", "SUBQUERY", "TYPE"}
    | {"WINDOW"}
)
_TYPES = frozenset(
    {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
    | {"BASE_TABLE", "JOIN", "SUBQUERY", "EMPTY", "EXPRESSION_LIST", "TABLE_FUNCTION"}
    | {"ORDER_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "DISTINCT_MODIFIER"}
    | {"ORDER_DEFAULT", "ASCENDING", "DESCENDING"}
)
_FUNCTIONS = """
    !__postfix !~~ !~~* % & && * ** + - -> ->> / // <-> << <@ >> @ @> ^ ^@ | || ~ ~~ ~~* ~~~
    abs acos acosh add age any_value approx_count_distinct approx_quantile arbitrary arg_max
    arg_min argmax argmin array_agg array_contains array_distinct array_extract array_has
    array_has_all array_has_any array_intersect array_length array_position array_slice
    array_sort array_to_string array_unique ascii asin asinh atan atan2 atanh avg bit_and
    bit_count bit_length bit_or bit_xor bool_and bool_or cardinality cbrt ceil ceiling century
    char_length character_length chr coalesce concat concat_ws contains corr cos cosh cot count
    count_if count_star countif covar_pop covar_samp cume_dist damerau_levenshtein date_add
    date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc day dayname
    dayofmonth dayofweek dayofyear days_in_month decade degrees dense_rank divide editdist3
    element_at ends_with entropy epoch epoch_ms epoch_ns epoch_us era even exp favg fdiv first
    first_value floor fmod fsum gamma gcd geomean geometric_mean get_current_timestamp greatest
    greatest_common_divisor group_concat grouping grouping_id hamming hash hex histogram hour
    if iff ifnull ilike_escape instr isfinite isinf isnan isodow isoyear jaccard
    jaro_similarity jaro_winkler_similarity json_array_length json_contains json_exists
    json_extract json_extract_path json_extract_path_text json_extract_string json_keys
    json_type json_valid json_value julian kahan_sum kurtosis kurtosis_pop lag last last_day
    last_value lcase lcm lead least least_common_multiple left left_grapheme len length
    length_grapheme levenshtein lgamma like_escape list list_aggregate list_apply list_avg
    list_concat list_contains list_count list_distinct list_element list_extract list_filter
    list_first list_has list_has_all list_has_any list_indexof list_intersect list_last
    list_max list_median list_min list_position list_reduce list_slice list_sort list_sum
    list_transform list_unique list_value listagg ln log log10 log2 lower ltrim mad make_date
    make_time make_timestamp map map_contains map_entries map_extract map_keys map_values max
    max_by md5 mean median microsecond millennium millisecond min min_by minute mismatches mod
    mode month monthname multiply nanosecond nfc_normalize not_ilike_escape not_like_escape now
    nth_value ntile nullif octet_length ord overlay percent_rank pi position pow power prefix
    product quantile quantile_cont quantile_disc quarter radians rank rank_dense regexp_extract
    regexp_extract_all regexp_full_match regexp_matches regexp_replace regexp_split_to_array
    regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy
    replace reverse right right_grapheme round round_even row row_number rtrim second sem sha1
    sha256 sign signbit sin sinh skewness split split_part sqrt starts_with stddev stddev_pop
    stddev_samp str_split strftime string_agg string_split strip_accents strlen strpos strptime
    struct_extract struct_pack substr substring substring_grapheme subtract suffix sum sumkahan
    tan tanh time_bucket timezone to_days to_hours to_microseconds to_milliseconds to_minutes
    to_months to_seconds to_timestamp to_weeks to_years today transaction_timestamp translate
    trim trunc try_strptime typeof ucase unicode unnest upper url_decode var_pop var_samp
    variance wavg week weekday weekofyear weighted_avg xor year yearweek
"""
FUNCTIONS = frozenset(_FUNCTIONS.split())


class RefusedError(ValueError):
    """Why a query or pattern is refused: the message, the fix and the short code."""

    def __init__(self, what: str, fix: str = "", code: str = "C009") -> None:
        """Keep the three; an empty `fix` refers to the code's page."""
        super().__init__(what)
        self.what = what
        self.fix = fix
        self.code = code


def refuse_tree(tree: Any, table: str, columns: set[str]) -> None:
    """Refuse a query's tree unless every part of it is allowed.

    Args:
        tree: one statement, as `json_serialize_sql` gives it.
        table: the name under which the dataset is read.
        columns: its columns, in lower case; their names may be SQL keywords.

    Raises:
        RefusedError: for the first part that is not allowed.
        RecursionError: if it is nested more deeply than Python can follow.
    """
    _walk(tree, frozenset({table.lower()}), columns)


def _walk(item: Any, known: frozenset[str], columns: set[str]) -> None:
    """Refuse what is not allowed in a part of the tree; `known` are the tables in scope."""
    if isinstance(item, list):
        for part in item:
            _walk(part, known, columns)
    if not isinstance(item, dict) or isinstance(item.get("type"), dict):
        return  # a constant's value, or a type: nothing is named in it
    _refuse_part(item, columns)
    if item.get("type") == "BASE_TABLE":
        _refuse_table(item, known)
    elif item.get("type") == "TABLE_FUNCTION":  # its name is checked; as a scalar it makes lists
        _walk(list(item["function"].values()), known, columns)
    else:
        inner = _with_clauses(item, known, columns)
        _walk([value for key, value in item.items() if key != "cte_map"], inner, columns)


def _with_clauses(item: dict[str, Any], known: frozenset[str], columns: set[str]) -> frozenset[str]:
    """Return the tables in scope below a node; each WITH clause sees the ones before it."""
    for entry in (item.get("cte_map") or {}).get("map", []):
        name, query = entry["key"].lower(), entry["value"]["query_node"]
        is_recursive = query.get("type") == "RECURSIVE_CTE_NODE"
        _walk(entry["value"], known | {name} if is_recursive else known, columns)
        known |= {name}
    return known


def _refuse_table(item: dict[str, Any], known: frozenset[str]) -> None:
    name = item["table_name"].lower()
    if item.get("schema_name") or item.get("catalog_name") or name not in known:
        fix = "read only the dataset, which is called ${table}"
        raise RefusedError("the query reads another table or a file", fix)
    if item.get("at_clause"):
        raise RefusedError("the query may not use AT")


def _refuse_part(item: dict[str, Any], columns: set[str]) -> None:
    if item.get("sample"):
        raise RefusedError("the query may not use SAMPLE", "return the same result each time")
    part = item.get("class")
    if part is None:
        _refuse_kind(item)
    elif part not in _CLASSES:
        raise RefusedError(f"the query may not use {part}")
    elif part in ("FUNCTION", "WINDOW"):
        _refuse_function(item)
    elif part == "COLUMN_REF":
        _refuse_word(item["column_names"], columns)


def _refuse_kind(item: dict[str, Any]) -> None:
    kind = item.get("type")
    if kind is not None and kind not in _TYPES:
        word = str(kind).removesuffix("_QUERY_NODE").removesuffix("_REF")
        raise RefusedError(f"the query may not use {word}", "write one SELECT over the table")
    if kind == "TABLE_FUNCTION":
        name = item["function"]["function_name"].lower()
        if name not in GENERATORS:
            raise RefusedError(f"the query calls the table function {name}")


def _refuse_function(item: dict[str, Any]) -> None:
    name = item["function_name"].lower()
    if name not in FUNCTIONS:
        near = (
            difflib.get_close_matches(name, sorted(FUNCTIONS), 1, NEAR) if len(name) < LONG else []
        )
        fix = f"did you mean '{near[0]}'?" if near else "see docs/contract.md for what is allowed"
        raise RefusedError(f"the query may not call {item['function_name']}", fix)


def _refuse_word(names: list[str], columns: set[str]) -> None:
    """Refuse words that are calls without parentheses, unless a column has that name."""
    word = names[-1].lower()
    if len(names) == 1 and word in _PLACES and word not in columns:
        raise RefusedError(f"the query may not use {names[-1]}")
