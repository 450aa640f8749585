"""What everything stands on: coded errors, crash-safe files, the door to a store."""
