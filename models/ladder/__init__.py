"""The ladder: simple models and the transformer on the same tickets, measured, drawn, and one recommended."""
