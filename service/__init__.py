"""From suggestions to feedback: the HTTP endpoints and the pages. Imports no Spark, torch, MLflow or Evidently."""
