"""From bytes to rows: CSV, JSON Lines and Parquet under limits."""
