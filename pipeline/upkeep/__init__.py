"""Looking after the lake: where it stands, what was refused, what may go, small files."""
