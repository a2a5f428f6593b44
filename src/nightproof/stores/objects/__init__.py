"""Blobs in an object store (S3, R2, Google Cloud Storage, Azure) through obstore."""

from nightproof.stores.objects.store import ObjectBlobs

__all__ = ["ObjectBlobs"]
