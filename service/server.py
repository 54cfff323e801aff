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
from service.telemetry import log_as_json
from tickets.errors import MachineError

LOOPBACK = "127.0.0.1"


def serve(app: FastAPI, host: str = LOOPBACK, port: int = 8000) -> None:
    """Serve until SIGINT or SIGTERM, then finish the requests under way. Raises MachineError when the port is taken."""
    log_as_json()
    # A matrix product of one ticket is done before a second thread is awake, and the second would spin beside it.
    with threadpool_limits(1, "blas"), _listen(host, port) as listener:
        uvicorn.Server(_config(app)).run(sockets=[listener])


@contextlib.contextmanager
def running(app: FastAPI, host: str = LOOPBACK, port: int = 0) -> Iterator[str]:
    """Serve from a thread and yield the address, such as `http://127.0.0.1:40123`; port 0 takes any free one.

    Ready when it yields, with the release loaded. Raises MachineError when the port is taken or the app does not start.
    """
    with _listen(host, port) as listener:
        server = uvicorn.Server(_config(app))
        started = threading.Event()
        thread = threading.Thread(target=_run, args=(server, listener, started), name="triage-service", daemon=True)
        thread.start()
        while not started.wait(0.02):
            if server.started:
                break
        if not server.started:
            raise MachineError("the service did not start.", hint="The log above says why.")
        try:
            yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=10)


def _run(server: uvicorn.Server, listener: socket.socket, ended: threading.Event) -> None:
    try:
        server.run(sockets=[listener])
    finally:
        ended.set()


def _config(app: FastAPI) -> uvicorn.Config:
    access: AccessOptions = app.state.options.access
    # The boundary writes one line a request; uvicorn's own access log would repeat it with query strings.
    return uvicorn.Config(
        app,
        http=limited_protocol(access),  # type: ignore[arg-type]  # a partial of a protocol class does as well
        ws="none",
        proxy_headers=bool(access.trusted_proxies),
        forwarded_allow_ips=list(access.trusted_proxies),
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=8,
        lifespan="on",
    )


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048
        )
    except OSError as error:
        raise MachineError(
            f"cannot listen on {host}:{port}: {error.strerror}.", hint="Stop what uses that port, or name another one."
        ) from error
