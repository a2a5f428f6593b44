"""The conformance suite's jobs and what a combination of engine and store has to offer."""
