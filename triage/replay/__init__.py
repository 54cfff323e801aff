"""History as if it were live, under several policies: `triage replay`."""
