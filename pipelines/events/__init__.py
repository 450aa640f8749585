"""What is told outside: OpenLineage events, the retrain signal."""
