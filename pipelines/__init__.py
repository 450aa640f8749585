"""Motion: alone knows Prefect, the clock, the terminal and the store's layout."""

from pipelines.orchestration import prefect_files

prefect_files.install()
