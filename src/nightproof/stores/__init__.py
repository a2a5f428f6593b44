"""Implementations of the journal and of blobs; each stands alone."""
