# ruff: noqa: E501, S608  a case is a line, and its SQL is never run
"""Contracts that must be refused, each with its code, place and advice, and their near misses.

A case is (name, contract, code, place, advice): `code` None for a contract that must be taken,
`place` the end of `where`, `advice` a part of the fix.
"""

import textwrap

HEAD = """\
apiVersion: v3.1.0
kind: DataContract
name: people
version: 1.0.0
schema:
  - name: people
    properties:
      - name: age
        logicalType: integer
"""
TEXT = HEAD.replace("integer", "string")
MIB = 1 << 20
HUGE = "9" * 399


def with_property(text, head=HEAD):
    return head + textwrap.indent(textwrap.dedent(text), " " * 8)


def with_options(text, head=HEAD):
    return with_property(f"logicalTypeOptions: {text}\n", head)


def with_setting(name, value):
    return HEAD + f"customProperties:\n  - property: {name}\n    value: {value}\n"


def quality(text, head=HEAD):
    return with_property(f"quality:\n  - {text}\n", head)


def valid(values, head=TEXT):
    return quality(
        f"{{metric: invalidValues, arguments: {{validValues: [{values}]}}, mustBe: 0}}", head
    )


def sql(query):
    return quality(f'{{type: sql, query: "{query}", mustBe: 0}}')


def expectation(kind, kwargs="{}", head=HEAD):
    return quality(
        "{type: custom, engine: greatExpectations, "
        f"implementation: {{type: {kind}, kwargs: {kwargs}}}}}",
        head,
    )


BETWEEN = "expect_column_values_to_be_between"

C001 = [
    ("alias", HEAD + "tenant: &x a\ndomain: *x\n", "C001", ":10:9", ""),
    ("anchor that nobody uses", HEAD + "tenant: &x a\n", "C001", ":10:9", ""),
    ("alias of nothing", HEAD + "tenant: *x\n", "C001", ":10:9", ""),
    ("alias of itself", "a: &x [*x]\n", "C001", ":1:4", ""),
    ("anchor on a key", HEAD + "&x tenant: a\n", "C001", ":10:1", ""),
    ("alias as a key", HEAD + "? *x\n: a\n", "C001", ":10:3", ""),
    (
        "bomb",
        "a: &a [x]\n" + "".join(f"b{i}: &b{i} [*a, *a]\n" for i in range(9)),
        "C001",
        ":1:4",
        "",
    ),
    ("merge", with_property("<<: {required: true}\n"), "C001", ":10:9", ""),
    ("merge in arguments", expectation(BETWEEN, "{<<: {min_value: 1}}"), "C001", ":11:123", ""),
    ("deep flow", b"a: " + b"[" * 40 + b"]" * 40, "C001", ":1:35", ""),
    ("deep block", "- " * 40 + "a\n", "C001", ":1:65", ""),
    ("32 levels are not too deep", "[" * 32 + "]" * 32, "C005", ":1:1", ""),
    ("1 MiB of brackets", b"[" * MIB, "C001", ":1:33", ""),
    ("1 MiB of balanced brackets", b"[" * (MIB // 2) + b"]" * (MIB // 2), "C001", ":1:33", ""),
    ("1 MiB of dashes", b"- " * (MIB // 2), "C001", ":1:65", ""),
    ("one byte over 1 MiB", b"#" * (MIB + 1), "C001", ":1:1", "shorten"),
    ("1 MiB of comment is not too large", b"#" * MIB, "C005", ":1:1", "assay init"),
    ("half a million values", HEAD + f"tags: [{'1,' * 500_000}]\n", "C001", ":10:399962", ""),
    ("100,000 keys", "".join(f"k{i}:\n" for i in range(100_001)), "C001", ":100000:8", ""),
    ("quoted ampersand", HEAD + "tenant: '&x'\n", None, "", ""),
    ("asterisk in a text", HEAD + "tenant: a*b&c\n", None, "", ""),
]
C002 = [
    ("python tag", HEAD + "tenant: !!python/object/apply:os.system [x]\n", "C002", ":10:9", ""),
    ("own tag", HEAD + "tenant: !x a\n", "C002", ":10:9", ""),
    ("standard tag", HEAD + "tenant: !!str a\n", "C002", ":10:9", ""),
    ("verbatim tag", HEAD + "tenant: !<tag:yaml.org,2002:str> a\n", "C002", ":10:9", ""),
    ("empty tag", HEAD + "tenant: ! a\n", "C002", ":10:9", ""),
    ("tag on a key", HEAD + "!!str tenant: a\n", "C002", ":10:1", ""),
    (
        "tag of a directive",
        "%TAG !e! tag:x,2000:\n---\n" + HEAD + "tenant: !e!x a\n",
        "C002",
        ":12:9",
        "",
    ),
    ("tag of no handle", HEAD + "tenant: !e!x a\n", "C002", ":10:9", ""),
    ("latin-1", HEAD.encode() + b"tenant: \xe9\n", "C002", ":10:9", "UTF-8"),
    ("overlong UTF-8", HEAD.encode() + b"tenant: \xc0\xaf\n", "C002", ":10:9", "UTF-8"),
    ("surrogate in UTF-8", HEAD.encode() + b"tenant: \xed\xa0\x80\n", "C002", ":10:9", "UTF-8"),
    ("escaped surrogate", HEAD + 'tenant: "\\ud800"\n', "C002", ":10:12", ""),
    ("UTF-16", HEAD.encode("utf-16"), "C002", ":1:1", "UTF-8"),
    ("UTF-16 without a mark", HEAD.encode("utf-16-le"), "C002", ":1:2", "remove"),
    ("NUL", HEAD.encode() + b"tenant: a\0b\n", "C002", ":10:10", "remove"),
    ("NUL at the end", HEAD.encode() + b"\0", "C002", ":10:1", "remove"),
    ("escaped NUL", HEAD + 'tenant: "a\\0b"\n', "C002", ":10:9", ""),
    ("escaped NUL in a key", HEAD + '"a\\0b": 1\n', "C002", ":10:1", ""),
    ("second byte order mark", b"\xef\xbb\xbf" * 2 + HEAD.encode(), "C002", ":1:1", ""),
    ("hidden line end", HEAD + "# a\u2028tenant: b\n", "C002", ":10:4", "remove"),
    ("line end of mainframes", HEAD + "# a\x85tenant: b\n", "C002", ":10:4", "remove"),
    ("lone carriage return", HEAD + "# a\rtenant: b\n", "C002", ":10:4", "remove"),
    ("turned text", HEAD + "tenant: a\u202eb\n", "C002", ":10:10", "escape"),
    ("bell", HEAD + "tenant: a\x07b\n", "C002", ":10:10", "remove"),
    ("tab as indentation", HEAD + "\ttenant: a\n", "C002", ":10:1", ""),
    ("open bracket", HEAD + "tags: [a\n", "C002", ":11:1", ""),
    ("open quote", HEAD + "tenant: 'a\n", "C002", ":11:1", ""),
    ("two values", HEAD + "tenant: a: b\n", "C002", ":10:10", ""),
    ("key of a megabyte", "x" * (MIB - 9) + ": 1\n", "C002", ":1:1048568", ""),
    ("other YAML version", "%YAML 2.0\n---\n" + HEAD, "C002", ":1:1", ""),
    ("text after the end", HEAD + "...\nx\n", "C002", ":11:1", ""),
    ("byte order mark", b"\xef\xbb\xbf" + HEAD.encode(), None, "", ""),
    ("CRLF", HEAD.replace("\n", "\r\n"), None, "", ""),
    ("escaped turn of text", HEAD + 'tenant: "a\\u202eb"\n', None, "", ""),
    ("tab after a colon", HEAD + "tenant:\ta\n", None, "", ""),
    ("YAML 1.2", "%YAML 1.2\n---\n" + HEAD + "...\n", None, "", ""),
    ("exclamation mark", HEAD + "tenant: a!b\n", None, "", ""),
]
C003 = [
    ("key twice", HEAD + "name: other\n", "C003", ":10:1", ""),
    ("key twice, once in quotes", HEAD + '"name": other\n', "C003", ":10:1", ""),
    ("key twice, once escaped", HEAD + '"n\\x61me": other\n', "C003", ":10:1", ""),
    ("key twice in a flow", with_options("{minimum: 1, minimum: 2}"), "C003", ":10:42", ""),
    ("key twice in a property", with_property("name: b\n"), "C003", ":10:9", ""),
    ("two documents", HEAD + "---\n" + HEAD, "C003", ":10:1", ""),
    ("empty second document", HEAD + "---\n", "C003", ":10:1", ""),
    ("property twice", HEAD + "customProperties:\n" + "  - {property: assay.policy, value: {}}\n" * 2,
     "C003", ":12:16", ""),
    ("same key elsewhere", HEAD + "customProperties: [{property: name, value: 1}]\n", None, "", ""),
]  # fmt: skip
C004 = [
    ("contract", HEAD.replace("schema:", "shcema:"), "C004", ":5:1", "'schema'"),
    ("property", with_property("requierd: true\n"), "C004", ":10:9", "'required'"),
    ("case", with_property("Required: true\n"), "C004", ":10:9", "'required'"),
    ("options", with_options("{minmum: 3}"), "C004", ":10:30", "'minimum'"),
    ("option of another type", with_options("{minLength: 3}"), "C004", ":10:30", ""),
    ("rule", quality("{metric: nullValues, mustbe: 0}"), "C004", ":11:34", "'mustBe'"),
    ("argument of a metric", quality("{metric: invalidValues, arguments: {validValue: [1]}, mustBe: 0}"),
     "C004", ":11:49", "'validValues'"),
    ("implementation", quality("{type: custom, engine: greatExpectations, implementation: {typ: x}}"),
     "C004", ":11:72", "'type'"),
    ("argument of an expectation", expectation(BETWEEN, "{min_valu: 3}"), "C004", ":11:123", "'min_value'"),
    ("what the library would evaluate", expectation(BETWEEN, "{min_value: 1, windows: []}"),
     "C004", ":11:137", ""),
    ("server", HEAD + "servers: [{server: a, typ: local}]\n", "C004", ":10:23", "'type'"),
    ("setting", with_setting("assay.refrence", "x"), "C004", ":11:15", "'assay.reference'"),
    ("setting of a column", with_setting("assay.role", "label"), "C004", ":11:15", "belong"),
    ("policy", with_setting("assay.policy", "{alhpa: 0.1}"), "C004", ":12:13", "'alpha'"),
    ("check", with_setting("assay.checks", "{drfit: off}"), "C004", ":12:13", "'drift'"),
    ("option of a check", with_setting("assay.checks", "{poison: {sampel: 9}}"),
     "C004", ":12:22", "'sample'"),
    ("option of a check that takes none", with_setting("assay.checks", "{values: {x: 1}}"),
     "C004", ":12:21", "on"),
    ("limit", with_setting("assay.limits", "{max_colums: 3}"), "C004", ":12:13", "'max_columns'"),
    ("date as a key", HEAD + "2024-01-01: a\n", "C004", ":10:1", "known"),
    ("number as a key", HEAD + "1: a\n", "C004", ":10:1", "known"),
    ("another tool's property", HEAD + "customProperties: [{property: soda.x, value: 1}]\n", None, "", ""),
    ("words of the standard", HEAD + "team: {name: us}\nprice: {priceAmount: 1}\nslaProperties: []\n",
     None, "", ""),
]  # fmt: skip
C005 = [
    ("nothing", "", "C005", ":1:1", "assay init"),
    ("a comment", "# nothing\n", "C005", ":1:1", "assay init"),
    ("null", "null\n", "C005", ":1:1", "assay init"),
    ("three dashes", "---\n", "C005", ":1:1", "assay init"),
    ("a list", "- a\n", "C005", ":1:1", ""),
    ("a list as a key", HEAD + "? [a]\n: b\n", "C005", ":10:3", ""),
    ("no schema", "name: a\n", "C005", ":1:1", "assay init"),
    ("empty schema", "schema:\n", "C005", ":1:8", "- "),
    ("no properties", "schema: [{name: a, properties: []}]\n", "C005", ":1:10", ""),
    ("no name", "schema: [{properties: [{logicalType: date}]}]\n", "C005", ":1:24", ""),
    ("name that is a number", HEAD.replace("name: age", "name: 1"), "C005", ":8:15", '"1"'),
    ("name that is a word of YAML 1.1", HEAD.replace("name: age", "name: no"), "C005", ":8:15", '"no"'),
    ("name of 201 letters", HEAD.replace("name: people\nv", f"name: {'x' * 201}\nv"), "C005", ":3:7", ""),
    ("table of 201 letters", HEAD.replace("- name: people", f"- name: {'x' * 201}"), "C005", ":6:11", ""),
    ("kind", HEAD.replace("DataContract", "DataContrakt"), "C005", ":2:7", "'DataContract'"),
    ("version", HEAD.replace("1.0.0", "[1]"), "C005", ":4:10", ""),
    ("version of the standard", HEAD.replace("v3.1.0", "v2.2.2"), "C005", ":1:13", "v3.1.0"),
    ("version of the standard, a number", HEAD.replace("v3.1.0", "3.1"), "C005", ":1:13", "v3.1.0"),
    ("type", HEAD.replace("integer", "integr"), "C005", ":9:22", "'integer'"),
    ("type of another case", HEAD.replace("integer", "Integer"), "C005", ":9:22", "'integer'"),
    ("a list of what", HEAD.replace("integer", "array"), "C005", ":8:9", "items"),
    ("flag that is a text", with_property("required: 'true'\n"), "C005", ":10:19", ""),
    ("flag that is yes", with_property("required: yes\n"), "C005", ":10:19", "write true"),
    ("flag that is a number", with_property("required: 1\n"), "C005", ":10:19", ""),
    ("NaN", with_options("{minimum: .nan}"), "C005", ":10:39", "leave it out"),
    ("infinity", with_options("{maximum: -.Inf}"), "C005", ":10:39", "leave it out"),
    ("overflow", with_options("{maximum: 1e999}"), "C005", ":10:39", "leave it out"),
    ("number of 399 digits", with_options(f"{{maximum: {HUGE}}}"), "C005", ":10:39", "38 digits"),
    ("number in quotes", with_options("{minimum: '0'}"), "C005", ":10:39", "without quotes"),
    ("hexadecimal", with_options("{minimum: 0x1F}"), "C005", ":10:39", "digits"),
    ("octal of YAML 1.1", with_options("{minimum: 017}"), "C005", ":10:39", "write 17"),
    ("octal of YAML 1.2", with_options("{minimum: 0o17}"), "C005", ":10:39", "digits"),
    ("sixties", with_options("{minimum: 1:30}"), "C005", ":10:39", "digits"),
    ("underscores", with_options("{minimum: 1_000}"), "C005", ":10:39", "digits"),
    ("length of 399 digits", with_options(f"{{minLength: {HUGE}}}", TEXT), "C005", ":10:41", ""),
    ("length that is a share", with_options("{minLength: 1.5}", TEXT), "C005", ":10:41", ""),
    ("position of 399 digits", with_property(f"primaryKey: true\nprimaryKeyPosition: {HUGE}\n"),
     "C005", ":11:29", ""),
    ("valid value yes", valid("yes, no"), "C005", ":11:63", '"yes"'),
    ("valid value NO", valid('"SE", NO'), "C005", ":11:69", '"NO"'),
    ("valid value of another type", valid("1"), "C005", ":11:63", '"1"'),
    ("valid value null", valid("~"), "C005", ":11:63", '"~"'),
    ("valid flag yes", valid("yes", HEAD.replace("integer", "boolean")), "C005", ":11:63", "write true"),
    ("valid value with a zero before", valid("007", HEAD), "C005", ":11:63", "write 7"),
    ("valid value beyond 64 bits", valid("9" * 20, HEAD), "C005", ":11:63", ""),
    ("no valid values", valid(""), "C005", ":11:62", ""),
    ("no bound", quality("{metric: nullValues}"), "C005", ":11:13", "mustBe"),
    ("two bounds", quality("{metric: nullValues, mustBe: 0, mustBeLessThan: 3}"), "C005", ":11:13", ""),
    ("bound of 399 digits", quality(f"{{metric: nullValues, mustBe: {HUGE}}}"), "C005", ":11:42", ""),
    ("metric", quality("{metric: nulValues, mustBe: 0}"), "C005", ":11:22", "'nullValues'"),
    ("severity", quality("{metric: nullValues, mustBe: 0, severity: eror}"), "C005", ":11:55", "'error'"),
    ("expectation", expectation("expect_column_values_to_be_beetween"), "C005", ":11:78", "between"),
    ("no argument", expectation("expect_column_values_to_be_in_set"), "C005", ":11:121", "value_set"),
    ("no end", expectation(BETWEEN), "C005", ":11:122", ""),
    ("condition for pandas", expectation(BETWEEN, "{min_value: 1, row_condition: x}"), "C005", ":11:137", "SQL"),
    ("argument to be evaluated", expectation(BETWEEN, "{min_value: {$PARAMETER: now()}}"),
     "C005", ":11:134", ""),
    ("set of yes and no", expectation("expect_column_values_to_be_in_set", "{value_set: [yes]}", TEXT),
     "C005", ":11:134", '"yes"'),
    ("flag on", expectation(BETWEEN, "{min_value: 1, strict_min: on}"), "C005", ":11:149", "write true"),
    ("share above one", expectation(BETWEEN, "{min_value: 1, mostly: 95}"), "C005", ":11:145", "0.95"),
    ("policy of 399 digits", with_setting("assay.policy", f"{{alpha: {HUGE}}}"), "C005", ":12:20", ""),
    ("alpha above one", with_setting("assay.policy", "{alpha: 5}"), "C005", ":12:20", ""),
    ("limit of 399 digits", with_setting("assay.limits", f"{{max_columns: {HUGE}}}"), "C005", ":12:26", ""),
    ("limit of nothing", with_setting("assay.limits", "{max_columns: 0}"), "C005", ":12:26", ""),
    ("time without end", with_setting("assay.limits", "{check_seconds: 1e300}"), "C005", ":12:28", ""),
    ("check that is 0", with_setting("assay.checks", "{drift: 0}"), "C005", ":12:20", ""),
    ("sample of nothing", with_setting("assay.checks", "{poison: {sample: 0}}"), "C005", ":12:30", ""),
    ("score above one", with_setting("assay.checks", "{pii: {score: 5}}"), "C005", ":12:26", ""),
    *[(f"option {text}", with_setting("assay.checks", f"{{{check}: {{{text}}}}}"), "C005", "", "")
      for check, text in (
          ("pii", "deny: [true]"), ("pii", "deny: [No]"), ("pii", "deny: anna"),
          ("pii", 'deny: [""]'), ("pii", "deny_file: 5"), ("pii", "deny_file: [a.txt]"),
          ("pii", "model: [a]"), ("pii", "model: 3"), ("pii", "model_score: 5"),
          ("pii", "model_score: -1"), ("pii", "entropy: 1"),
          ("disclosure", 'k: "3"'), ("disclosure", "k: 1"), ("disclosure", "k: true"),
          ("disclosure", "l: 1"), ("disclosure", "max_suppressed: 2"),
          ("disclosure", "severity: info"), ("disclosure", "severity: [error]"),
          ("disclosure", "sensitive: age"), ("disclosure", "sensitive: [1]"))],
    *[(f"option {text}", with_setting("assay.checks", f"{{{check}: {{{text}}}}}"), None, "", "")
      for check, text in (
          ("pii", 'deny: [anna, "No"], deny_file: names.txt, model: ./people, model_score: 0'),
          ("pii", "model: en_core_web_sm, entropy: true, score: 0"),
          ("disclosure", "k: 2, l: 2, max_suppressed: 0, severity: error, sensitive: [age]"))],
    *[(f"csv {text}", with_setting("assay.csv", f"{{{text}}}"), code, "", "")
      for text, code in (
          ('delimiter: ";", quote: none, encoding: latin-1', None), ('delimiter: "\\t"', None),
          ("delimiter: x", "C005"), ('delimiter: ";;"', "C005"), ("delimiter: 1", "C005"),
          ("quote: x", "C005"), ("encoding: klingon", "C005"), ("encoding: 8", "C005"),
          ("escape: x", "C004"))],
    *[(f"policy {text}", with_setting("assay.policy", f"{{{text}}}"), code, "", "")
      for text, code in (
          ("epsilon: 0.5, epsilon_total: 3", None), ("epsilon: 0", None), ("epsilon: -1", "C005"),
          ("epsilon_total: .inf", "C005"), ("epsilon: a", "C005"))],
    *[(f"server with {text}", HEAD + f"servers: [{{server: a, type: local, {text}}}]\n", code, "", "")
      for text, code in (
          ('format: csv, delimiter: ";"', None), ("format: json, delimiter: new_line", None),
          ("delimiter: xy", "C005"), ("location: 5", "C005"), ("location: s3://loans/a.csv", None),
          ("location: 5, path: a.csv", None))],
    ("no such personal data", with_setting("assay.checks", "{pii: {entities: [EMAIL]}}"),
     "C005", ":12:30", "EMAIL_ADDRESS"),
    ("stage that always runs", with_setting("assay.checks", "{rescan: off}"), "C005", ":12:21", ""),
    ("words in quotes", valid('"yes", "no", "007", "null", ""'), None, "", ""),
    ("a negative number", with_options("{minimum: -17, maximum: +5}"), None, "", ""),
    ("a large number", with_options("{maximum: 18446744073709551615}"), None, "", ""),
    ("a largest float", with_options("{maximum: 1.7e308}", HEAD.replace("integer", "number")),
     None, "", ""),
    ("a version like a number", HEAD.replace("1.0.0", "1.0"), None, "", ""),
    ("checks off and on", with_setting("assay.checks", "{drift: off, labels: on, pii: {score: 1}}"),
     None, "", ""),
]  # fmt: skip
C006 = [
    ("lookahead", with_options("{pattern: '(?=x)'}", TEXT), "C006", ":10:39", "lookaround"),
    ("backreference", with_options("{pattern: '(a)\\1'}", TEXT), "C006", ":10:39", "backreference"),
    ("possessive", with_options("{pattern: 'a++'}", TEXT), "C006", ":10:39", ""),
    ("open bracket", with_options("{pattern: '[a-'}", TEXT), "C006", ":10:39", ""),
    ("name that the engine does not know", with_options("{pattern: '(?<n>x)'}", TEXT), "C006", ":10:39", ""),
    ("count of counts", with_options("{pattern: 'x{1000}{1000}'}", TEXT), "C006", ":10:39", ""),
    ("pattern of megabytes", with_options("{pattern: '\\pL{900}'}", TEXT), "C006", ":10:39", ""),
    ("1,001 letters", with_options(f"{{pattern: '{'x' * 1001}'}}", TEXT), "C006", ":10:39", ""),
    ("metric", quality("{metric: invalidValues, arguments: {pattern: '(?!x)'}, mustBe: 0}", TEXT),
     "C006", ":11:58", ""),
    ("expectation", expectation("expect_column_values_to_match_regex_list", "{regex_list: [a, '(?!x)']}", TEXT),
     "C006", ":11:145", ""),
    ("catastrophe that RE2 is not", with_options("{pattern: '^(a+)+$'}", TEXT), None, "", ""),
    ("1,000 letters", with_options(f"{{pattern: '{'x' * 1000}'}}", TEXT), None, "", ""),
    ("scripts", with_options("{pattern: '^\\p{Greek}+(?i:x)(?P<n>y)$'}", TEXT), None, "", ""),
]  # fmt: skip
C007 = [
    ("metric", quality("{metric: duplicateValues, arguments: {properties: [aeg]}, mustBe: 0}"),
     "C007", ":11:64", "'age'"),
    ("expectation", expectation(BETWEEN, "{column: aeg, min_value: 1}"), "C007", ":11:131", "'age'"),
    ("list of columns", expectation("expect_compound_columns_to_be_unique", "{column_list: [age, aeg]}"),
     "C007", ":11:144", "'age'"),
    ("SQL", sql("SELECT avg(aeg) FROM people"), "C007", ":11:32", "'age'"),
    ("name of a megabyte", quality(f"{{metric: duplicateValues, arguments: {{properties: [{'x' * 500_000}]}}, mustBe: 0}}"),
     "C007", ":11:64", "known names: age"),
    ("SQL in quotes", sql('SELECT avg(\\"Age\\") FROM people'), None, "", ""),
]  # fmt: skip
C007 += [
    (
        "sensitive column",
        with_setting("assay.checks", "{disclosure: {sensitive: [agee]}}"),
        "C007",
        ":12:38",
        "'age'",
    ),
]
C008 = [
    ("bounds", with_options("{minimum: 3, maximum: 2}"), "C008", ":10:39", ""),
    ("bounds without room", with_options("{minimum: 3, exclusiveMaximum: 3}"), "C008", ":10:39", ""),
    ("two kinds of minimum", with_options("{minimum: 3, exclusiveMinimum: 3}"), "C008", ":10:60", ""),
    ("lengths", with_options("{minLength: 3, maxLength: 2}", TEXT), "C008", ":10:41", ""),
    ("column twice", HEAD + "      - {name: age}\n", "C008", ":10:16", ""),
    ("column in another case", HEAD + "      - {name: AGE}\n", "C008", ":10:16", "SQL"),
    ("our own column", HEAD + "      - {name: _Row}\n", "C008", ":10:16", "rename"),
    ("our own table", HEAD.replace("- name: people", "- name: __Assay_rows"), "C008", ":6:11", ""),
    ("range turned round", quality("{metric: nullValues, mustBeBetween: [3, 1]}"), "C008", ":11:49", ""),
    ("ends turned round", expectation(BETWEEN, "{min_value: 3, max_value: 1}"), "C008", ":11:122", ""),
    ("rule twice", quality("{metric: nullValues, mustBe: 0, name: a}\n  - {metric: nullValues, mustBe: 1, name: a}"),
     "C008", ":12:51", ""),
    ("two labels", HEAD + "".join(
        f"      - {{name: {n}, customProperties: [{{property: assay.role, value: label}}]}}\n" for n in "bc"),
     "C008", ":11:16", ""),
    ("redacted number", with_property("customProperties: [{property: assay.pii, value: redact}]\n"),
     "C008", ":10:57", "quarantine"),
    ("letters that are not ASCII", HEAD + "      - {name: É}\n      - {name: é}\n", None, "", ""),
    ("bounds with room for one", with_options("{minimum: 3, maximum: 3}"), None, "", ""),
]  # fmt: skip
NESTED_CASE = "age"
for _ in range(22):
    NESTED_CASE = f"(CASE {NESTED_CASE} WHEN 1 THEN 2 WHEN 3 THEN 4 ELSE 5 END)"
DOUBLED = ", ".join(f"a{i - 1}+a{i - 1} AS a{i}" for i in range(2, 30))
C009 = [
    ("two statements", sql("SELECT 1; SELECT 2"), "C009", ":11:32", ""),
    ("no statement", sql("-- nothing"), "C009", ":11:32", ""),
    ("no SQL", sql("SELECT FROM WHERE"), "C009", ":11:32", ""),
    ("DROP", sql("DROP TABLE people"), "C009", ":11:32", "reads"),
    ("write in a WITH clause", sql("WITH d AS (DELETE FROM people RETURNING *) SELECT count(*) FROM d"),
     "C009", ":11:32", "SELECT"),
    ("another table", sql("SELECT count(*) FROM other"), "C009", ":11:32", "${table}"),
    ("catalog", sql("SELECT count(*) FROM sqlite_master"), "C009", ":11:32", "${table}"),
    ("catalog behind a WITH clause elsewhere",
     sql("SELECT (SELECT count(*) FROM (WITH sqlite_master AS (SELECT 1) SELECT 1)) + count(*) FROM sqlite_master"),
     "C009", ":11:32", "${table}"),
    ("function of the system", sql("SELECT pg_sleep(9)"), "C009", ":11:32", ""),
    ("function as a window", sql("SELECT sum(getenv('HOME')) OVER () FROM people"), "C009", ":11:32", ""),
    ("misspelt function", sql("SELECT cuont(age) FROM people"), "C009", ":11:32", "'count'"),
    ("length out of a number", sql("SELECT length(lpad('x', 2000000000, 'y'))"), "C009", ":11:32", ""),
    ("list out of a number", sql("SELECT len(range(2000000000))"), "C009", ":11:32", ""),
    ("chance", sql("SELECT random() FROM people"), "C009", ":11:32", ""),
    ("sample", sql("SELECT count(*) FROM people TABLESAMPLE 10%"), "C009", ":11:32", "same"),
    ("parameter", sql("SELECT $1"), "C009", ":11:32", ""),
    ("two columns", sql("SELECT age, age FROM people"), "C009", ":11:32", ""),
    ("column in a rule of the table", HEAD + "    quality: [{type: sql, query: 'SELECT ${column}', mustBe: 0}]\n",
     "C009", ":10:34", ""),
    ("10,001 letters", sql("SELECT 1 " + "-" * 10_001), "C009", ":11:32", ""),
    ("500 levels", sql("SELECT " + "(SELECT " * 500 + "1" + ")" * 500), "C009", ":11:32", ""),
    ("cases that double", sql(f"SELECT sum({NESTED_CASE}) FROM people"), "C009", ":11:32", "simplify"),
    ("names that double", sql(f"SELECT max(a29) FROM (SELECT age AS a1, {DOUBLED} FROM people)"),
     "C009", ":11:32", "simplify"),
    ("SQL of the library", expectation("unexpected_rows_expectation"), "C009", ":11:78", "type: sql"),
    ("count", sql("SELECT count(*) FROM ${table}"), None, "", ""),
    ("column", sql("SELECT avg(${column}) FROM ${table}"), None, "", ""),
    ("WITH", sql("WITH o AS (SELECT * FROM people WHERE age > 9), p AS (SELECT * FROM o) SELECT count(*) FROM p"),
     None, "", ""),
    ("join with a generator", sql("SELECT count(*) FROM people JOIN range(3) r(i) ON age = i"), None, "", ""),
    ("not in the future", sql("SELECT count(*) FROM people WHERE make_date(age, 1, 1) > current_date"),
     None, "", ""),
    ("window", sql("SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY age) AS n FROM people)"),
     None, "", ""),
]  # fmt: skip


def paths(text):
    return (
        HEAD + f"servers: [{{server: a, type: local, path: {text}}}]\n",
        with_setting("assay.reference", text),
    )


C010 = [
    (f"{name}, {where}", contract, code, place, advice)
    for name, text, code, advice in (
        ("above", "../x.csv", "C010", "below"),
        ("above, later", "a/../../x.csv", "C010", "below"),
        ("above, after a wildcard", "a/*/../../../x.csv", "C010", ""),
        ("absolute", "/etc/passwd", "C010", "below"),
        ("process", "/proc/self/environ", "C010", "below"),
        ("device", "/dev/zero", "C010", "below"),
        ("URL", "https://example.org/x.csv", "C010", "command line"),
        ("bucket", "s3://bucket/x.parquet", "C010", "command line"),
        ("file URL", "file:///etc/passwd", "C010", "command line"),
        ("home", "~/x.csv", "C010", "command line"),
        ("another's home", "~root/x.csv", "C010", "command line"),
        ("variable", "$HOME/x.csv", "C010", "command line"),
        ("variable in braces", '"${HOME}/x.csv"', "C010", "command line"),
        ("wildcard first", '"/*/passwd"', "C010", "below"),
        ("a million steps", "a/" * 300_000, "C010", ""),
        ("below", "data/x.csv", None, ""),
        ("below, with dots", "data/../x.csv", None, ""),
        ("name that begins with dots", "..x.csv", None, ""),
        ("share of another system", "\\\\server\\share", None, ""),
    )
    for where, contract, place in zip(
        ("source", "reference"), paths(text), (":10:42", ":12:12"), strict=True
    )
]
C010 += [
    ("names above", with_setting("assay.checks", "{pii: {deny_file: ../names.txt}}"), "C010", ":12:30", "below"),
    ("model above", with_setting("assay.checks", "{pii: {model: ../people}}"), "C010", ":12:26", "below"),
    ("web server", HEAD + "servers: [{server: a, type: s3, location: https://example.org/a.csv}]\n",
     "C010", ":10:43", "--source"),
]  # fmt: skip
CASES = [*C001, *C002, *C003, *C004, *C005, *C006, *C007, *C008, *C009, *C010]
