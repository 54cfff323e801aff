"""/console: the page on which an agent reads a ticket, sees suggestions, and accepts, corrects or ignores them."""

from service.console.router import router as router
