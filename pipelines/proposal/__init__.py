"""`assay init`: a contract inferred from a source, or revised by decisions."""
