"""The rules of a contract: conditions of Great Expectations on DuckDB."""
