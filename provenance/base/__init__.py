"""What everything else builds on: coded errors, crash-safe files, safe access to a store."""
