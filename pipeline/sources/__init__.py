"""Readers of source files: each yields rows as they came, one at a time."""
