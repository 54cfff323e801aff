"""The groups of commands, a module each; what a command does is a function elsewhere in `triage`."""
