"""Helpdesks: their webhooks become tickets, suggestions go back into them as tags, a field or a private note."""
