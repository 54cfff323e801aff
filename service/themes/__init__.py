"""/themes: what people write about that no contact type stands for, and how it becomes one."""

from service.themes.router import router as router
