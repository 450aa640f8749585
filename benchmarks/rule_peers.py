"""Twelve rules, and what else evaluates them: peers of benchmarks/rules.py.

pandera and pointblank are no part of Assay: `.uv/bin/uv pip install 'pandera[polars]' pointblank`
puts them beside it.
"""

from pathlib import Path

CITIES = ["Oslo", "Bergen", "Molde", "Drammen", "Hamar"]
STATES = ["new", "open", "closed"]
EMAIL, CODE = r"^[a-z0-9.]+@[a-z]+\.[a-z]{2,}$", "^[A-Z]{2}[0-9]{4}$"
# (column, kind, parameters, the condition of an offending row in SQL)
RULES = [
    ("id", "required", {}, "id IS NULL"),
    ("id", "unique", {}, "id IS NOT NULL AND count(*) OVER (PARTITION BY id) > 1"),
    ("age", "minimum", {"value": 18, "exclusive": False}, "age < 18"),
    ("age", "maximum", {"value": 99, "exclusive": False}, "age > 99"),
    ("income", "minimum", {"value": 0, "exclusive": True}, "income <= 0 OR isnan(income)"),
    ("rate", "maximum", {"value": 1, "exclusive": True}, "rate >= 1"),
    ("city", "validValues", {"values": CITIES}, f"city NOT IN {tuple(CITIES)}"),
    ("state", "validValues", {"values": STATES}, f"state NOT IN {tuple(STATES)}"),
    ("email", "pattern", {"regex": EMAIL}, f"NOT regexp_matches(email, '{EMAIL}')"),
    ("code", "pattern", {"regex": CODE}, f"NOT regexp_matches(code, '{CODE}')"),
    ("day", "minimum", {"value": "2020-01-01", "exclusive": False}, "day < DATE '2020-01-01'"),
    ("note", "maxLength", {"value": 40}, "length(note) > 40"),
]
TYPES = {"id": "integer", "age": "integer", "income": "number", "rate": "number",
         "city": "string", "state": "string", "email": "string", "code": "string", "day": "date",
         "note": "string", "amount": "number", "visits": "integer"}  # fmt: skip


def by_hand(folder: Path):
    import duckdb

    file = f"read_parquet('{folder}/data.parquet', file_row_number = true)"

    def work() -> int:
        connection, count = duckdb.connect(), 0
        for _, _, _, condition in RULES:
            inner = f"SELECT file_row_number AS r, ({condition}) AS bad FROM {file}"  # noqa: S608
            query = f"SELECT r FROM ({inner}) WHERE bad"  # noqa: S608
            count += connection.sql(query).to_arrow_table().num_rows
        return count

    return work


def gx_pandas(folder: Path, contract):
    import great_expectations as gx
    import pandas as pd

    from checks.rules import duck_engine, suite

    duck_engine.silence()
    objects = suite.expectations(suite.clauses(contract))

    def work() -> int:
        frame = pd.read_parquet(folder / "data.parquet")
        context = gx.get_context(mode="ephemeral")
        batch = (
            context.data_sources.add_pandas("p").add_dataframe_asset("a")
            .add_batch_definition_whole_dataframe("b").get_batch({"dataframe": frame})
        )  # fmt: skip
        made = gx.ExpectationSuite(name="s", expectations=objects)
        result = batch.validate(made, result_format="COMPLETE")
        return sum(r.result.get("unexpected_count", 0) for r in result.results)

    return work


def pandera_on(folder: Path, library: str):
    if library == "polars":
        import pandera.polars as pa
        import polars as pl

        read = pl.read_parquet
    else:
        import pandas as pd
        import pandera.pandas as pa

        read = pd.read_parquet

    checks = {
        "minimum": lambda p: (pa.Check.gt if p["exclusive"] else pa.Check.ge)(_value(p)),
        "maximum": lambda p: (pa.Check.lt if p["exclusive"] else pa.Check.le)(_value(p)),
        "validValues": lambda p: pa.Check.isin(p["values"]),
        "pattern": lambda p: pa.Check.str_matches(p["regex"]),
        "maxLength": lambda p: pa.Check.str_length(max_value=p["value"]),
    }
    columns = {}
    for column in TYPES:
        mine = [(kind, params) for name, kind, params, _ in RULES if name == column]
        if mine:
            columns[column] = pa.Column(
                checks=[checks[kind](params) for kind, params in mine if kind in checks],
                nullable=not any(kind == "required" for kind, _ in mine),
                unique=any(kind == "unique" for kind, _ in mine),
            )
    schema = pa.DataFrameSchema(columns)

    def work() -> int:
        try:
            schema.validate(read(folder / "data.parquet"), lazy=True)
        except pa.errors.SchemaErrors as error:
            return len(error.failure_cases)
        return 0

    return work


def _value(params):
    import datetime as dt

    value = params["value"]
    return dt.date.fromisoformat(value) if isinstance(value, str) else value


def pointblank(folder: Path):
    import pointblank as pb
    import polars as pl

    def work() -> int:
        made = pb.Validate(pl.read_parquet(folder / "data.parquet"))
        for column, kind, params, _ in RULES:
            made = STEPS[kind](made, column, params)
        return int(sum(made.interrogate().n_failed().values()))

    return work


def _longest(made, column, params):
    import polars as pl

    return made.col_vals_expr(expr=pl.col(column).str.len_chars() <= params["value"])


def _end(made, column, params, names):
    add = getattr(made, names[params["exclusive"]])
    return add(columns=column, value=_value(params), na_pass=True)


STEPS = {
    "required": lambda made, column, _: made.col_vals_not_null(columns=column),
    "unique": lambda made, column, _: made.rows_distinct(columns_subset=column),
    "minimum": lambda m, c, p: _end(m, c, p, ("col_vals_ge", "col_vals_gt")),
    "maximum": lambda m, c, p: _end(m, c, p, ("col_vals_le", "col_vals_lt")),
    "validValues": lambda m, c, p: m.col_vals_in_set(columns=c, set=p["values"]),
    "pattern": lambda m, c, p: m.col_vals_regex(columns=c, pattern=p["regex"], na_pass=True),
    "maxLength": _longest,
}
