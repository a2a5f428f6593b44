"""The pages, one module for what belongs together; each lists its `routes`."""
