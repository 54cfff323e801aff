"""Experiments: what is recorded of a run and where, and the search for good knobs."""
