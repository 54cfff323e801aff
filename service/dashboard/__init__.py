"""/dashboard: one look tells whether all is well. Reads what monitoring recorded; imports nothing of monitoring."""

from service.dashboard.router import router as router
