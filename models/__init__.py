"""From features to a model and from a model to suggestions: train, evaluate, release, suggest, score."""
