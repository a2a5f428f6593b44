"""What users import: jobs, steps, effects, maps, waits, and the protocol an engine fills in."""
