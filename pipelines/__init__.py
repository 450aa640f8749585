"""Motion: the only package that knows Prefect, the clock, the terminal and the layout of a store."""

from pipelines.orchestration import prefect_files

prefect_files.install()
