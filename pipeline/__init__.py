"""From source files to features: import, clean, label, split, featurise, pair. Imports only `tickets`."""
