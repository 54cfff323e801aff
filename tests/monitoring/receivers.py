"""Those who receive alerts in tests: a webhook over real HTTP, a mail server over real SMTP with STARTTLS."""

from __future__ import annotations

import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class WebhookServer(ThreadingHTTPServer):
    """Answers every POST with `status` and keeps what was posted."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hook)
        self.status = 200
        self.posted: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/services/T0/B0/secret"


class _Hook(BaseHTTPRequestHandler):
    server: WebhookServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.posted.append(json.loads(body))
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class MailSink(socketserver.ThreadingTCPServer):
    """Takes mail over STARTTLS from one who signs in as ann with the password pa:ss; keeps what it took."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, certificate: Path, *, offers_tls: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), _Smtp)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        self.offers_tls = offers_tls
        self.mails: list[EmailMessage] = []
        self.readers: list[str] = []
        self.unknown = ""  # a reader whom it refuses

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Smtp(socketserver.StreamRequestHandler):
    server: MailSink

    def handle(self) -> None:
        self.secret = False
        self._say("220 sink")
        while line := self.rfile.readline():
            said = line.decode(errors="replace").strip()
            if not self._answer(said.split(" ")[0].upper(), said):
                return

    def finish(self) -> None:
        super().finish()
        self.request.close()  # the one that was made secret; the server knows only the one before

    def _answer(self, word: str, said: str) -> bool:
        match word:
            case "EHLO":
                self._say("250-sink", *(["250-STARTTLS"] if self.server.offers_tls and not self.secret else []))
                self._say("250 AUTH PLAIN")
            case "STARTTLS":
                self._say("220 go ahead")
                return self._shake_hands()
            case "AUTH":
                right = said.rsplit(" ", maxsplit=1)[-1] == "AGFubgBwYTpzcw=="  # \0ann\0pa:ss
                self._say("235 welcome" if right else "535 no")
            case "RCPT":
                reader = said.partition("<")[2].rstrip(">")
                self.server.readers.append(reader)
                self._say("550 no such reader" if reader == self.server.unknown else "250 fine")
            case "DATA":
                self._say("354 go on")
                self._take()
            case "QUIT":
                self._say("221 bye")
                return False
            case _:
                self._say("250 fine")
        return True

    def _shake_hands(self) -> bool:
        try:
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
        except ssl.SSLError:  # a client that does not trust us
            return False
        self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", buffering=0)
        self.secret = True
        return True

    def _take(self) -> None:
        lines: list[bytes] = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line)
        self.server.mails.append(message_from_bytes(b"".join(lines), policy=policy.default))
        self._say("250 kept")

    def _say(self, *lines: str) -> None:
        for line in lines:
            self.wfile.write(f"{line}\r\n".encode())


@contextmanager
def up(server: socketserver.BaseServer) -> Iterator[None]:
    """The server answers while the block lasts."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def write_certificate(path: Path) -> Path:
    """A certificate of 127.0.0.1, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(pem, *plain) + certificate.public_bytes(pem))
    return path
