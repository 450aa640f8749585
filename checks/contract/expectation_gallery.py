"""The gallery of Great Expectations 1.24: the expectations a contract may name, their arguments.

A test holds these lists against the library. What reads other tables or runs SQL of its own is
refused: `type: sql` is guarded, they are not. Arguments that the library would evaluate
(`row_condition`, `$PARAMETER`) or that only its own stores use are in no list.
"""

# arguments by expectation; `!` marks those that it cannot do without (`column` may be the property)
_ARGUMENTS = """
column_distinct_values_to_be_in_set: column value_set!
column_distinct_values_to_contain_set: column value_set!
column_distinct_values_to_equal_set: column value_set!
column_kl_divergence_to_be_less_than: column partition_object! threshold! internal_weight_holdout
    tail_weight_holdout bucketize_data
column_max_to_be_between: column min_value max_value strict_min strict_max
column_mean_to_be_between: column min_value max_value strict_min strict_max
column_median_to_be_between: column min_value max_value strict_min strict_max
column_min_to_be_between: column min_value max_value strict_min strict_max
column_most_common_value_to_be_in_set: column value_set! ties_okay
column_pair_values_a_to_be_greater_than_b: column_A! column_B! mostly or_equal ignore_row_if
column_pair_values_to_be_equal: column_A! column_B! mostly ignore_row_if
column_pair_values_to_be_in_set: column_A! column_B! mostly value_pairs_set! ignore_row_if
column_proportion_of_non_null_values_to_be_between: column min_value max_value strict_min strict_max
column_proportion_of_unique_values_to_be_between: column min_value max_value strict_min strict_max
column_quantile_values_to_be_between: column quantile_ranges! allow_relative_error
column_stdev_to_be_between: column min_value max_value strict_min strict_max
column_sum_to_be_between: column min_value max_value strict_min strict_max
column_to_exist: column column_index
column_type_to_be: column type_!
column_unique_value_count_to_be_between: column min_value max_value strict_min strict_max
column_value_lengths_to_be_between: column mostly min_value max_value strict_min strict_max
column_value_lengths_to_equal: column mostly value!
column_value_z_scores_to_be_less_than: column mostly threshold! double_sided!
column_values_to_be_between: column mostly min_value max_value strict_min strict_max
column_values_to_be_dateutil_parseable: column mostly
column_values_to_be_decreasing: column mostly strictly
column_values_to_be_in_set: column mostly value_set!
column_values_to_be_in_type_list: column mostly type_list!
column_values_to_be_increasing: column mostly strictly
column_values_to_be_json_parseable: column mostly
column_values_to_be_null: column mostly
column_values_to_be_of_type: column mostly type_!
column_values_to_be_unique: column mostly
column_values_to_match_json_schema: column mostly json_schema!
column_values_to_match_like_pattern: column mostly like_pattern! escape
column_values_to_match_like_pattern_list: column mostly like_pattern_list! match_on escape
column_values_to_match_regex: column mostly regex!
column_values_to_match_regex_list: column mostly regex_list! match_on
column_values_to_match_strftime_format: column mostly strftime_format!
column_values_to_not_be_in_set: column mostly value_set!
column_values_to_not_be_null: column mostly
column_values_to_not_be_outliers: column mostly method multiplier
column_values_to_not_match_like_pattern: column mostly like_pattern! escape
column_values_to_not_match_like_pattern_list: column mostly like_pattern_list! escape
column_values_to_not_match_regex: column mostly regex!
column_values_to_not_match_regex_list: column mostly regex_list!
compound_columns_to_be_unique: column_list! mostly ignore_row_if
multicolumn_sum_to_equal: column_list! mostly ignore_row_if sum_total!
multicolumn_values_to_be_equal: column_list! mostly ignore_row_if
select_column_values_to_be_unique_within_record: column_list! mostly ignore_row_if
table_column_count_to_be_between: min_value max_value
table_column_count_to_equal: value!
table_columns_to_match_ordered_list: column_list!
table_columns_to_match_set: column_set! exact_match
table_row_count_to_be_between: min_value max_value strict_min strict_max
table_row_count_to_equal: value!
"""


def _table() -> dict[str, dict[str, bool]]:
    found: dict[str, dict[str, bool]] = {}
    for line in _ARGUMENTS.replace("\n    ", " ").split("\n"):
        name, _, words = line.partition(": ")
        if name:
            given = {word.rstrip("!"): word.endswith("!") for word in words.split()}
            found[f"expect_{name}"] = given
    return found


ARGUMENTS = _table()  # by expectation, whether an argument must be given
EXPECTATIONS = tuple(ARGUMENTS)
REFUSED = (
    "expect_query_results_to_match_comparison",
    "expect_table_row_count_to_equal_other_table",
    "unexpected_rows_expectation",
)
# these compare whole numbers beyond 2**53 exactly
EXACT_ENDS = ("expect_column_values_to_be_between",)
_NUMBERS = ("integer", "number")
_ORDERED = (*_NUMBERS, "date", "timestamp", "time")
_OF_NUMBERS = """mean_to_be_between quantile_values_to_be_between stdev_to_be_between
sum_to_be_between value_z_scores_to_be_less_than values_to_not_be_outliers"""
_OF_ORDERED = """max_to_be_between median_to_be_between min_to_be_between values_to_be_between
values_to_be_decreasing values_to_be_increasing"""
_OF_TEXT = """value_lengths_to_be_between value_lengths_to_equal values_to_be_dateutil_parseable
values_to_be_json_parseable values_to_match_json_schema values_to_match_like_pattern
values_to_match_like_pattern_list values_to_match_regex values_to_match_regex_list
values_to_match_strftime_format values_to_not_match_like_pattern
values_to_not_match_like_pattern_list values_to_not_match_regex values_to_not_match_regex_list"""
# logical types of the columns on which an expectation has a meaning; those not named take any
TYPES: dict[str, tuple[str, ...]] = {
    f"expect_column_{name}": types
    for names, types in ((_OF_NUMBERS, _NUMBERS), (_OF_ORDERED, _ORDERED), (_OF_TEXT, ("string",)))
    for name in names.split()
}
