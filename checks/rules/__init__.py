"""A contract's rules: Great Expectations' conditions on DuckDB."""
