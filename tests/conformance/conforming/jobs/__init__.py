"""Jobs that every combination runs, found by name in every process that serves them."""
