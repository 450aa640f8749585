"""The words of the Open Data Contract Standard v3.1, and which of them Assay acts on.

A key that is in no list is misspelt (ASSAY-C004). A key in `UNUSED` is kept in the file and ignored
with one warning, because someone may believe that it does something; mere description is not
warned about. Source: the JSON schema of the standard, version 3.1.0.
"""

CONTRACT_USED = frozenset({"apiVersion", "kind", "name", "version", "schema", "servers"})
CONTRACT_UNUSED = frozenset(
    {"support", "price", "team", "roles", "slaDefaultElement", "slaProperties"}
)
CONTRACT = (
    CONTRACT_USED
    | CONTRACT_UNUSED
    | {"id", "status", "tenant", "tags", "description", "domain", "dataProduct"}
    | {"contractCreatedTs", "authoritativeDefinitions", "customProperties"}
)

OBJECT_UNUSED = frozenset({"relationships"})
OBJECT = (
    frozenset({"name", "properties", "quality", "customProperties", "logicalType"})
    | OBJECT_UNUSED
    | {"id", "physicalName", "physicalType", "businessName", "description", "tags"}
    | {"dataGranularityDescription", "authoritativeDefinitions"}
)

PROPERTY_UNUSED = frozenset(
    {"partitioned", "partitionKeyPosition", "classification", "encryptedName", "relationships"}
    | {"transformSourceObjects", "transformLogic", "transformDescription", "physicalName"}
    | {"criticalDataElement", "items", "properties"}
)
PROPERTY = (
    frozenset({"name", "logicalType", "logicalTypeOptions", "required", "unique", "primaryKey"})
    | {"primaryKeyPosition", "quality", "customProperties"}
    | PROPERTY_UNUSED
    | {"id", "physicalType", "businessName", "description", "tags", "examples"}
    | {"authoritativeDefinitions"}
)

_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_NUMBER = _BOUNDS | {"multipleOf", "format"}
_MOMENT = _BOUNDS | {"format", "timezone", "defaultTimezone"}
OPTIONS: dict[str, frozenset[str]] = {
    "string": frozenset({"minLength", "maxLength", "pattern", "format"}),
    "integer": _NUMBER,
    "number": _NUMBER,
    "boolean": frozenset(),
    "date": _BOUNDS | {"format"},
    "timestamp": _MOMENT,
    "time": _MOMENT,
}
OPTIONS_UNUSED = frozenset({"multipleOf", "timezone", "defaultTimezone"})
NESTED = ("object", "array")

QUALITY_UNUSED = frozenset({"schedule", "scheduler"})
OPERATORS = (
    "mustBe",
    "mustNotBe",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
    "mustBeBetween",
    "mustNotBeBetween",
)
QUALITY = (
    frozenset({"id", "name", "type", "metric", "rule", "arguments", "unit", "severity"})
    | {"query", "engine", "implementation", "validValues", "customProperties"}
    | frozenset(OPERATORS)
    | QUALITY_UNUSED
    | {"description", "dimension", "method", "businessImpact", "tags", "authoritativeDefinitions"}
)
METRICS = ("nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount")

SERVER = frozenset(
    {"id", "server", "type", "path", "format", "description", "environment", "roles", "delimiter"}
    | {"customProperties", "location", "endpointUrl", "schema", "database", "host", "port"}
    | {"catalog", "account", "project", "dataset", "region", "regionName", "stagingDir"}
    | {"serviceName", "warehouse"}
)

# String formats that are checked, as RE2; `password`, `byte` and `binary` promise nothing to check.
_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
FORMATS = {
    "email": r"^[^@\s]+@[^@\s.]+(\.[^@\s.]+)+$",
    "uuid": r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
    "uri": r"^[A-Za-z][A-Za-z0-9+.-]*:\S+$",
    "hostname": r"^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*"
    r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$",
    "ipv4": rf"^{_OCTET}(\.{_OCTET}){{3}}$",
    "ipv6": r"^[0-9a-fA-F:]*:[0-9a-fA-F:]*(:[0-9.]+)?$",
}
FORMATS_UNCHECKED = ("password", "byte", "binary")

ASSAY_CONTRACT = ("assay.reference", "assay.policy", "assay.checks", "assay.limits", "assay.csv")
ASSAY_PROPERTY = ("assay.role", "assay.pii", "assay.missing")
ROLES = ("label", "text", "source", "time", "quasi_identifier", "ignore")
PII = ("quarantine", "redact", "pseudonymise", "allow")
SEVERITIES = ("error", "warning", "info")

# Great Expectations 1.24's core expectations; a test holds this list against the library.
# What reads other tables or runs SQL of its own is left out: `type: sql` is guarded, they are not.
_EXPECTATIONS = """
    column_distinct_values_to_be_in_set column_distinct_values_to_contain_set
    column_distinct_values_to_equal_set column_kl_divergence_to_be_less_than
    column_max_to_be_between column_mean_to_be_between column_median_to_be_between
    column_min_to_be_between column_most_common_value_to_be_in_set
    column_pair_values_a_to_be_greater_than_b column_pair_values_to_be_equal
    column_pair_values_to_be_in_set column_proportion_of_non_null_values_to_be_between
    column_proportion_of_unique_values_to_be_between column_quantile_values_to_be_between
    column_stdev_to_be_between column_sum_to_be_between column_to_exist column_type_to_be
    column_unique_value_count_to_be_between column_value_lengths_to_be_between
    column_value_lengths_to_equal column_value_z_scores_to_be_less_than
    column_values_to_be_between column_values_to_be_in_set column_values_to_be_null
    column_values_to_be_unique column_values_to_match_like_pattern
    column_values_to_match_like_pattern_list column_values_to_match_regex
    column_values_to_match_regex_list column_values_to_not_be_in_set
    column_values_to_not_be_null column_values_to_not_match_like_pattern
    column_values_to_not_match_like_pattern_list column_values_to_not_match_regex
    column_values_to_not_match_regex_list compound_columns_to_be_unique multicolumn_sum_to_equal
    multicolumn_values_to_be_equal select_column_values_to_be_unique_within_record
    table_column_count_to_be_between table_column_count_to_equal
    table_columns_to_match_ordered_list table_columns_to_match_set table_row_count_to_be_between
    table_row_count_to_equal
"""
EXPECTATIONS = tuple(f"expect_{name}" for name in _EXPECTATIONS.split())
REFUSED_EXPECTATIONS = (
    "expect_query_results_to_match_comparison",
    "expect_table_row_count_to_equal_other_table",
    "unexpected_rows_expectation",
)
# the library states these in pandas or Spark only, or as what the contract's types already promise
UNSUPPORTED_EXPECTATIONS = (
    "expect_column_values_to_be_dateutil_parseable",
    "expect_column_values_to_be_decreasing",
    "expect_column_values_to_be_in_type_list",
    "expect_column_values_to_be_increasing",
    "expect_column_values_to_be_json_parseable",
    "expect_column_values_to_be_of_type",
    "expect_column_values_to_not_be_outliers",
    "expect_column_values_to_match_json_schema",
    "expect_column_values_to_match_strftime_format",
)
