"""Motion: the only package that knows Prefect, the clock, the terminal and a store's layout."""

from pipelines.orchestration import prefect_files

prefect_files.install()
