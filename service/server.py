"""Runs the app under uvicorn: `serve` until a signal, `running` for the length of a `with` block."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI
from threadpoolctl import threadpool_limits

from service.access.connections import limited_protocol
from service.access.options import AccessOptions
from service.draining import DrainingServer
from service.logs import configure_logs
from service.options import LogOptions, ServerOptions
from tickets.errors import MachineError

LOOPBACK = "127.0.0.1"


def serve(
    app: FastAPI,
    host: str = LOOPBACK,
    port: int = 8000,
    *,
    options: ServerOptions | None = None,
    logs: LogOptions | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then drain (service/draining.py). Raises MachineError when the port is taken."""
    options = options or ServerOptions()
    log = configure_logs(logs)
    try:
        # A matrix product of one ticket is done before a second thread is awake, and the second would spin beside it.
        with threadpool_limits(1, "blas"), _listen(host, port, options) as listener:
            DrainingServer(_config(app, options), app, drain_seconds=options.drain_seconds).run(sockets=[listener])
    finally:
        log.flush()


@contextlib.contextmanager
def running(app: FastAPI, *, port: int = 0) -> Iterator[str]:
    """Serve this machine from a thread and yield the address, such as `http://127.0.0.1:40123`; port 0 takes any free
    one.

    Ready when it yields, with the release loaded. Raises MachineError when the port is taken or the app does not start.
    """
    options = ServerOptions()
    with _listen(LOOPBACK, port, options) as listener:
        server = uvicorn.Server(_config(app, options))
        ended = threading.Event()
        thread = threading.Thread(target=_run, args=(server, listener, ended), name="triage-service", daemon=True)
        thread.start()
        while not server.started and not ended.wait(0.02):
            pass
        if not server.started:
            raise MachineError("the service did not start.", hint="The log above says why.")
        try:
            yield f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=10)


def _run(server: uvicorn.Server, listener: socket.socket, ended: threading.Event) -> None:
    try:
        server.run(sockets=[listener])
    finally:
        ended.set()


def _config(app: FastAPI, options: ServerOptions) -> uvicorn.Config:
    access: AccessOptions = app.state.options.access
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=limited_protocol(access),  # type: ignore[arg-type]  # a partial of a protocol class does as well
        ws="none",
        lifespan="on",
        proxy_headers=bool(access.trusted_proxies),
        forwarded_allow_ips=list(access.trusted_proxies),
        log_config=None,  # its records go where all others go
        log_level="warning",
        access_log=False,  # the boundary writes one line a request; uvicorn's would repeat it with query strings
        server_header=False,
        backlog=options.backlog,
        timeout_keep_alive=options.keep_alive_seconds,
        timeout_graceful_shutdown=options.stop_seconds,
    )


def _listen(host: str, port: int, options: ServerOptions) -> socket.socket:
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=options.backlog
        )
    except OSError as error:
        raise MachineError(
            f"cannot listen on {host}:{port}: {error.strerror}.",
            hint="Stop what uses it, or name another with --host and --port; `triage doctor` looks.",
        ) from error
