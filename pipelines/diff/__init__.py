"""`assay diff`: which rows were added, removed or changed between two runs, and why."""
