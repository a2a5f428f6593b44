"""Large values, stored once under their sha256 outside the journal."""
