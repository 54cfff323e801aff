"""The front door: settings, the command line, and the whole loop told in one function."""
