"""Motion: alone knows Prefect, the clock, the terminal and the store's layout."""
