"""What users import to test their jobs."""
