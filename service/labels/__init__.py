"""/labels: the page on which people label the tickets that monitoring asked about."""

from service.labels.router import router as router
