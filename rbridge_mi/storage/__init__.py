"""Results in files of an open format."""
