"""`assay diff`: which rows came, went or changed between two runs, and why."""
