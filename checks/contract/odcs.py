"""The words of the Open Data Contract Standard v3.1, and which of them Assay acts on.

A key that is in no list is misspelt (ASSAY-C004). A key in `UNUSED` is kept in the file and ignored
with one warning, because someone may believe that it does something; mere description is not
warned about. Source: the JSON schema of the standard, version 3.1.0.
"""

API_VERSION = r"v3\.[0-9]+\.[0-9]+"
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
