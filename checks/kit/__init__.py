"""What checks share. Pure: writes no file."""
