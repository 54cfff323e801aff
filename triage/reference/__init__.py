"""The reference pages of the documentation, told from the code: commands, settings, HTTP, tables, metrics."""
