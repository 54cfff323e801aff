"""Alembic's entry: migrations run on the connection that tickets.database.upgrade opened."""

from alembic import context

from tickets.database import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite")
with context.begin_transaction():
    context.run_migrations()
