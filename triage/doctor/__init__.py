"""What the machine and the workspace lack, and how to mend it: `triage doctor`."""
