# ruff: noqa: E501, S608  a contract that tries something is a line
"""No contract creates a file, opens a socket, starts a program or reads outside its root.

Each contract tries one way out. All of them are loaded by the real command line under the eyes of
an audit hook and of strace, beside a decoy whose content must turn up nowhere.
"""

import csv
import json
import os
import shutil
from pathlib import Path

import pytest
import watching
from bad_contracts import HEAD, TEXT, expectation, quality, with_setting

DECOY = "DECOY-5b1f0c77a9"
IN_ENVIRONMENT = "DECOY-e6d2440b13"
BETWEEN = "expect_column_values_to_be_between"
RUN_ALL = """
import contextlib, io, json, sys
from pipelines import cli
for path in sys.argv[2:]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = cli.main(["run", path, "--json", "--direct", "--store", sys.argv[1]])
    print(json.dumps([path, code, json.loads(out.getvalue())["error"]]))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A root with data and links that lead out, beside folders that nobody may touch."""
    base = tmp_path_factory.mktemp("escape")
    root, outside, home = base / "root", base / "outside", base / "home"
    for folder in (root / "data", outside / "deep", home / ".ssh", base / "tmp", base / "config"):
        folder.mkdir(parents=True)
    rows = [["age", "name"], *([str(n % 60), f"name {n}"] for n in range(200))]
    with (root / "data" / "people.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    decoys = [outside / "secret.csv", outside / "deep" / "secret.csv", home / ".ssh" / "secret.csv"]
    for path in decoys:
        path.write_text("age,name\n" + f"1,{DECOY}\n" * 50)
    (outside / "secret.txt").write_text(DECOY)
    (outside / "code.py").write_text(f"open({str(outside / 'PWNED')!r}, 'w')")
    (root / "link.csv").symlink_to(outside / "secret.csv")
    (root / "links").symlink_to(outside / "deep")
    (root / "loop.csv").symlink_to(root / "loop.csv")
    return base


def of_sql(base):
    """Return queries that would read, write or learn something outside the dataset."""
    out, secret, text = base / "outside", base / "outside/secret.csv", base / "outside/secret.txt"
    return {
        "copy to": f"COPY people TO '{out}/PWNED.csv'",
        "copy from": f"COPY people FROM '{secret}'",
        "copy a query": f"COPY (SELECT 1) TO '{out}/PWNED.parquet' (FORMAT parquet)",
        "export": f"EXPORT DATABASE '{out}/PWNED'",
        "import": f"IMPORT DATABASE '{out}'",
        "attach": f"ATTACH '{out}/PWNED.db' AS x",
        "attach a URL": "ATTACH 'https://192.0.2.1/x.db'",
        "read csv": f"SELECT count(*) FROM read_csv('{secret}')",
        "read text": f"SELECT max(length(content)) FROM read_text('{text}')",
        "read blob": f"SELECT count(*) FROM read_blob('{text}')",
        "read json": f"SELECT count(*) FROM read_json('{secret}')",
        "read parquet": f"SELECT count(*) FROM read_parquet('{secret}')",
        "sniff": f"SELECT count(*) FROM sniff_csv('{secret}')",
        "glob": f"SELECT count(*) FROM glob('{out}/*')",
        "a path as a table": f"SELECT count(*) FROM '{secret}'",
        "a path in quotes": f'SELECT count(*) FROM "{secret}"',
        "a path behind a WITH clause": f"WITH a AS (SELECT * FROM '{secret}') SELECT count(*) FROM a",
        "a WITH clause called like the path": f'SELECT (SELECT count(*) FROM (WITH "{secret}" AS (SELECT 1) SELECT 1)) + (SELECT count(*) FROM "{secret}")',
        "a path in a subquery": f"SELECT (SELECT max(name) FROM '{secret}') IS NULL",
        "a path in a filter": f"SELECT count(*) FILTER (EXISTS (SELECT 1 FROM '{secret}')) FROM people",
        "a path in a join": f"SELECT count(*) FROM people, LATERAL (SELECT * FROM read_text('{text}'))",
        "a path in an order": f"SELECT age FROM people ORDER BY (SELECT count(*) FROM '{secret}') LIMIT 1",
        "a path in a window": f"SELECT sum(age) OVER (ORDER BY (SELECT count(*) FROM '{secret}')) FROM people",
        "called as a method": f"SELECT length('{text}'.read_text())",
        "a query in a text": f"SELECT count(*) FROM query('FROM ''{secret}''')",
        "a table in a text": f"SELECT count(*) FROM query_table('{secret}')",
        "a plan in a text": "SELECT count(*) FROM json_execute_serialized_sql('{}')",
        "URL": "SELECT count(*) FROM 'https://192.0.2.1/x.parquet'",
        "bucket": "SELECT count(*) FROM 's3://bucket/x.parquet'",
        "install": "INSTALL httpfs",
        "load": f"LOAD '{out}/code.py'",
        "pragma": "PRAGMA database_list",
        "call": "CALL pragma_version()",
        "set": "SET enable_external_access = true",
        "reset": "RESET lock_configuration",
        "two statements": f"SELECT 1; COPY people TO '{out}/PWNED.csv'",
        "hidden by a comment": f"SELECT 1 /* */; --\nCOPY people TO '{out}/PWNED.csv'",
        "create": "CREATE TABLE x AS SELECT 1",
        "macro": f"CREATE MACRO f() AS TABLE SELECT * FROM read_text('{text}')",
        "secret": f"CREATE PERSISTENT DECOY (TYPE s3, KEY_ID '{out}')",
        "secrets": "SELECT count(*) FROM duckdb_secrets()",
        "settings": "SELECT count(*) FROM duckdb_settings()",
        "catalog": "SELECT count(*) FROM information_schema.tables",
        "environment": "SELECT length(getenv('WATCH_DECOY'))",
        "environment in a window": "SELECT max(getenv('WATCH_DECOY')) OVER () FROM people",
        "explain": f"EXPLAIN ANALYZE SELECT * FROM '{secret}'",
        "prepare": "PREPARE x AS SELECT 1",
        "write in a WITH clause": "WITH a AS (INSERT INTO people VALUES (1) RETURNING *) SELECT count(*) FROM a",
        "python": "SELECT count(*) FROM python_scan(people)",
        "log": "SELECT write_log('PWNED')",
        "sleep": "SELECT pg_sleep(600)",
    }


def of_yaml(base):
    """Return contracts that would run a program or read a file while they are parsed."""
    pwned = base / "outside" / "PWNED"
    tags = {
        "system": f"!!python/object/apply:os.system ['touch {pwned}']",
        "subprocess": f"!!python/object/new:subprocess.Popen [['touch', '{pwned}']]",
        "open": f"!!python/object/apply:builtins.open ['{pwned}', 'w']",
        "module": "!!python/module:antigravity",
        "name": "!!python/name:os.system",
        "include": f"!include {base}/outside/secret.txt",
        "environment": "!ENV ${WATCH_DECOY}",
        "binary": "!!binary aGVsbG8=",
    }
    return {f"tag {name}": HEAD + f"tenant: {tag}\n" for name, tag in tags.items()}


def of_expectations(base):
    """Return expectations with arguments that the library, or a parser of it, would evaluate."""
    out = base / "outside"
    code = f"__import__('os').system('touch {out}/PWNED')"
    kwargs = {
        "pandas condition": f'{{min_value: 1, row_condition: "{code}", condition_parser: pandas}}',
        "python condition": f'{{min_value: 1, row_condition: "@{code}", condition_parser: python}}',
        "parameter": f'{{min_value: {{$PARAMETER: "{code}"}}}}',
        "parameter from a store": "{min_value: {$PARAMETER: 'urn:great_expectations:stores:x:y'}}",
        "window": "{min_value: 1, windows: [{constraint_fn: mean, parameter_name: x, range: 1}]}",
        "format": f"{{min_value: 1, result_format: {{result_format: COMPLETE, x: '{out}'}}}}",
        "typed end": f'{{min_value: {{integer: "{code}"}}}}',
        "batch": "{min_value: 1, batch_id: x}",
    }
    made = {name: expectation(BETWEEN, text) for name, text in kwargs.items()}
    rows = f"{{unexpected_rows_query: \"SELECT * FROM '{out}/secret.csv'\"}}"
    made |= {
        "rows of a query": expectation("unexpected_rows_expectation", rows),
        "results of two queries": expectation("expect_query_results_to_match_comparison"),
        "another table": expectation("expect_table_row_count_to_equal_other_table", "{other_table_name: x}"),
        "schema in a file": expectation("expect_column_values_to_match_json_schema", f"{{json_schema: {out}/x}}"),
        "set in a file": expectation("expect_column_values_to_be_in_set", f"{{value_set: {{$ref: {out}/x}}}}", TEXT),
        "class of its own": expectation("great_expectations.expectations.core.X"),
        "module of its own": quality(f"{{type: custom, engine: greatExpectations, implementation: {{type: {BETWEEN}, module_name: {out}/code}}}}"),
        "pattern that is code": expectation("expect_column_values_to_match_regex", "{regex: '(?{print(1)})'}", TEXT),
    }  # fmt: skip
    return {f"expectation, {name}": text for name, text in made.items()}


def of_paths(base):
    """Return contracts that name files outside the root, as source and as reference."""
    outside = {
        "absolute": f"{base}/outside/secret.csv",
        "above": "../outside/secret.csv",
        "above, later": "data/../../outside/secret.csv",
        "above, after a wildcard": "data/*/../../../outside/secret.csv",
        "above, by a wildcard": "../*/secret.csv",
        "link": "link.csv",
        "link to a folder": "links/secret.csv",
        "wildcard behind a link": "links/*.csv",
        "wildcard over a link": "*/secret.csv",
        "stars over a link": "**/secret.csv",
        "wildcard that names a link": "li*.csv",
        "folder with a link": ".",
        "loop": "loop.csv",
        "home": "~/.ssh/secret.csv",
        "home by a variable": "$HOME/.ssh/secret.csv",
        "file URL": f"file://{base}/outside/secret.csv",
        "URL": "http://192.0.2.1/x.csv",
        "memory URL": "memory://x.csv",
        "chained URL": f"filecache::file://{base}/outside/secret.csv",
        "root of processes": "/proc/self/root/etc/passwd",
        "environment": "/proc/self/environ",
        "device": "/dev/stdin",
        "link of a process": f"/proc/{os.getpid()}/cwd/x.csv",
    }
    made = {}
    for name, path in outside.items():
        made[f"source, {name}"] = HEAD.replace("age", "name").replace("integer", "string") + (
            f"servers: [{{server: a, type: local, path: {json.dumps(path)}}}]\n"
        )
        made[f"reference, {name}"] = with_setting("assay.reference", json.dumps(path)) + (
            "servers: [{server: a, type: local, path: data/people.csv}]\n"
        )
    return made


def of_settings(base):
    """Return settings of checks and limits that name files or ask for the impossible."""
    values = {
        "model": ("assay.checks", f"{{pii: {{model: {base}/outside/code.py}}}}"),
        "entity": ("assay.checks", f"{{pii: {{entities: [{base}/outside/code.py]}}}}"),
        "check that is a path": ("assay.checks", "{../../outside/code: {x: 1}}"),
        "check that is a module": ("assay.checks", "{os.system: on}"),
        "memory": ("assay.limits", "{max_memory_bytes: 1e99}"),
        "plugin": ("assay.plugins", f"[{base}/outside/code.py]"),
    }
    return {f"setting, {name}": with_setting(*value) for name, value in values.items()}


def environment(base):
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT")}
    return {
        **environ, "HOME": str(base / "home"), "TMPDIR": str(base / "tmp"),
        "XDG_CONFIG_HOME": str(base / "config"), "WATCH_DECOY": IN_ENVIRONMENT,
    }  # fmt: skip


def unlawful(seen, base, *, store):
    """Return what a command did that no contract may bring about."""
    mine = (str(store), str(base / "tmp"), str(base / "config"), "/dev/", "/proc/self/")
    own = (seen.events_path, *mine)
    found = [f"connected: {item}" for item in seen.connected()]
    for path, writes in seen.opened():
        if str(base / "outside") in path or ".ssh" in path:
            found.append(f"opened: {path}")
        if writes and not path.startswith(own):
            found.append(f"written: {path}")
    ours = ("pipelines.run.child_process", "checks.contract.query_inspector", "multiprocessing")
    found += [f"started: {item}" for item in seen.started() if not any(o in item for o in ours)]
    return found


@pytest.fixture(scope="module")
def tried(place, tmp_path_factory):
    """Every attempt, loaded one after the other by one watched process: (seen, verdicts, state)."""
    attempts = {f"SQL, {name}": quality(f"{{type: sql, query: {json.dumps(text)}, mustBe: 0}}")
                for name, text in of_sql(place).items()}  # fmt: skip
    for more in (of_yaml, of_expectations, of_paths, of_settings):
        attempts |= more(place)
    names = {}
    for number, (name, text) in enumerate(attempts.items()):
        if "servers:" not in text:
            text += "servers: [{server: a, type: local, path: data/people.csv}]\n"  # noqa: PLW2901
        path = place / "root" / f"contract-{number:03}.yaml"
        path.write_text(text)
        names[str(path)] = name
    before = watching.tree(place / "outside") | watching.tree(place / "home")
    store = place / "store"
    seen = watching.watched(
        ["-c", RUN_ALL, store, *names], tmp_path_factory.mktemp("watch"),
        cwd=place / "root", env=environment(place), timeout=400,
    )  # fmt: skip
    after = watching.tree(place / "outside") | watching.tree(place / "home")
    verdicts = {names[item[0]]: item[1:] for item in map(json.loads, seen.out.splitlines())}
    for path in names:
        Path(path).unlink()
    return seen, verdicts, (before, after), set(names.values())


def test_every_attempt_is_refused_with_a_code(tried):
    seen, verdicts, _, names = tried
    assert set(verdicts) == names, seen.err[-2000:]
    assert len(names) > 100
    taken = {name: verdict for name, verdict in verdicts.items() if verdict[0] != 2}
    assert not taken
    codes = {name: error["code"] for name, (_, error) in verdicts.items()}
    assert {codes[name] for name in names if name.startswith("SQL")} <= {"ASSAY-C009"}
    assert {codes[name] for name in names if name.startswith("tag")} == {"ASSAY-C002"}
    paths = {codes[name] for name in names if name.startswith(("source", "reference"))}
    assert paths == {"ASSAY-C010"}
    assert "Traceback" not in seen.err


def test_nothing_was_written_connected_started_or_read(tried, place):
    seen, _, (before, after), _ = tried
    assert unlawful(seen, place, store=place / "store") == []
    assert before == after
    assert not (place / "store").exists()
    assert not list((place / "tmp").iterdir())


def test_the_decoy_turns_up_nowhere(tried):
    seen, _, _, _ = tried
    assert DECOY not in seen.out + seen.err
    assert IN_ENVIRONMENT not in seen.out + seen.err


def test_the_eyes_are_open(place, tmp_path):
    """What is looked for would be seen: a process that does it all is reported for it all."""
    code = (
        "import socket, subprocess, duckdb\n"
        f"open({str(place / 'outside' / 'secret.txt')!r}).read()\n"
        f"open({str(tmp_path / 'PWNED')!r}, 'w')\n"
        f"duckdb.execute(\"SELECT * FROM '{place}/outside/deep/secret.csv'\")\n"
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('127.0.0.1', 9))\n"
        "subprocess.run(['true'])\n"
    )
    watch = tmp_path / "watch"
    watch.mkdir()
    seen = watching.watched(
        ["-c", code], watch, cwd=tmp_path, env=environment(place), timeout=100
    )  # fmt: skip
    assert seen.code == 0, seen.err
    told = " ".join(unlawful(seen, place, store=tmp_path / "store"))
    assert "opened: " in told
    assert "secret.txt" in told
    assert "PWNED" in told
    assert "connected: " in told
    assert "started: " in told
    if watching.has_strace():
        assert "deep/secret.csv" in told  # opened in C


# what a contract may hold and nothing may come of: a whole run
QUIET = """\
apiVersion: v3.1.0
kind: DataContract
id: ../../outside/PWNED
name: ../../outside/PWNED
description: {{usage: "file://{base}/outside/secret.txt"}}
authoritativeDefinitions: [{{url: "http://192.0.2.1/x", type: x}}]
servers:
  - {{server: ../../x, type: local, format: csv, path: "data/people.csv", host: 192.0.2.1}}
  - {{server: b, type: s3, location: "s3://bucket/x", endpointUrl: "http://192.0.2.1"}}
schema:
  - name: {base}/outside/secret.csv
    physicalName: {base}/outside/secret.csv
    properties:
      - name: age
        logicalType: integer
        description: "{{{{7*191}}}} ${{WATCH_DECOY}} $PARAMETER"
        transformSourceObjects: ["{base}/outside/secret.csv"]
        quality:
          - type: custom
            engine: greatExpectations
            name: ../../outside/PWNED
            implementation:
              type: expect_column_values_to_be_between
              kwargs: {{min_value: 0}}
              meta: {{notes: "file://{base}/outside/secret.txt"}}
          - {{type: custom, engine: soda, implementation: "checks: !!python/name:os.system x"}}
      - name: name
        quality:
          - type: custom
            engine: greatExpectations
            implementation:
              type: expect_column_values_to_not_match_like_pattern
              kwargs: {{like_pattern: "{base}/outside/%"}}
          - type: custom
            engine: greatExpectations
            name: "{{{{7*191}}}}<script>alert(1)</script>"
            implementation:
              type: expect_column_values_to_not_be_in_set
              kwargs: {{value_set: ["{base}/outside/secret.csv", "$WATCH_DECOY", "@SUM(1+1)"]}}
        customProperties: [{{property: soda.file, value: "{base}/outside/secret.txt"}}]
    quality:
      - {{type: sql, name: own name, query: "SELECT count(*) FROM ${{table}}", mustBe: 200}}
      - {{type: sql, name: endless, query: "SELECT count(*) FROM ${{table}} a, ${{table}} b, ${{table}} c, ${{table}} d, ${{table}} e WHERE a.age + b.age <> c.age * d.age", mustBe: 0}}
customProperties:
  - {{property: assay.limits, value: {{check_seconds: 60}}}}
"""


def everything_below(store):
    """Yield each file's name and its content, tables as text."""
    import pyarrow.parquet as pq

    for path in store.rglob("*"):
        if path.is_file():
            yield path.name, path.read_bytes()
            if path.suffix == ".parquet":
                yield path.name, str(pq.read_table(path).to_pylist()).encode()


@pytest.mark.long
def test_a_whole_run_reads_its_source_and_ends_an_endless_query(place, tmp_path):
    path = place / "root" / "contract.yaml"
    path.write_text(QUIET.format(base=place))
    store, watch = tmp_path / "store", tmp_path / "watch"
    watch.mkdir()
    before = watching.tree(place / "outside") | watching.tree(place / "home")
    seen = watching.watched(
        ["-m", "pipelines.cli", "run", path, "--json", "--direct", "--store", store], watch,
        cwd=place / "root", env=environment(place), timeout=400,
    )  # fmt: skip
    path.unlink()
    assert "Traceback" not in seen.err
    told = json.loads(seen.out)
    assert (seen.code, told["verdict"], told["rows"]["source"]) == (3, "fail", 200), told
    (late,) = [reason for reason in told["reasons"] if "endless" in reason["message"]]
    assert late["code"] == "ASSAY-K001"
    assert "longer than" in late["message"]
    assert unlawful(seen, place, store=store) == []
    assert before == watching.tree(place / "outside") | watching.tree(place / "home")
    pages = 0
    for name, content in everything_below(store):
        assert DECOY.encode() not in content, name
        assert IN_ENVIRONMENT.encode() not in content, name
        if name.endswith(".html"):
            pages += 1
            assert b"1337" not in content, name  # no template in a name is evaluated
            assert b"<script>alert" not in content, name
    assert pages >= 3
    shutil.rmtree(store)
