"""Looking after the lake: where it stands, what was refused, what may go, who was forgotten, small files."""
