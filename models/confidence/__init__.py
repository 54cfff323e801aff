"""Honest confidence: what turns raw outputs of the served graph into numbers that mean what they say. Pure numpy."""
