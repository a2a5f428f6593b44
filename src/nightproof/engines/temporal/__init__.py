"""Runs on a Temporal server: the job a workflow, its steps activities, its ledger the journal."""
