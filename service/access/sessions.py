"""The session of a browser: a signed cookie that names a key, and ends when the key does.

The secret that signs lies in the workspace, so replicas on one workspace know each other's sessions. It is made once,
readable by its owner alone.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
import uuid
from pathlib import Path

import jwt
from starlette.responses import Response

from tickets.api_keys import ApiKey
from tickets.errors import MachineError
from tickets.workspace import Workspace

COOKIE = "triage_session"
_AUDIENCE = "triage session"
_FILE = "session.secret"
_SECRET_BYTES = 32


class Sessions:
    """Signs and reads the cookies of one workspace."""

    def __init__(self, workspace: Workspace, *, hours: float) -> None:
        self._file = workspace.root / _FILE
        self._seconds = hours * 3600
        self._secret: bytes | None = None

    def begin(self, answer: Response, key: ApiKey, *, secure: bool) -> None:
        """Put a new session of this key into the answer; whatever cookie the browser brought is replaced. Raises
        MachineError when the workspace cannot be written."""
        now = time.time()
        ends = now + self._seconds
        if key.expires_at is not None:
            ends = min(ends, key.expires_at.timestamp())
        claims = {"sub": key.key_id, "aud": _AUDIENCE, "iat": int(now), "exp": int(ends), "jti": secrets.token_hex(8)}
        signed = jwt.encode(claims, self._read_secret(), algorithm="HS256")
        answer.set_cookie(
            COOKIE, signed, max_age=int(ends - now), path="/", httponly=True, samesite="strict", secure=secure
        )

    def end(self, answer: Response, *, secure: bool) -> None:
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=secure)

    def key_id(self, cookie: str) -> str | None:
        """The id of the key whose session this is; None for a cookie that is forged, spoilt or over. Raises
        MachineError."""
        try:
            claims = jwt.decode(
                cookie,
                self._read_secret(),
                algorithms=["HS256"],
                audience=_AUDIENCE,
                options={"require": ["exp", "sub", "aud"]},
            )
        except jwt.InvalidTokenError:
            return None
        return str(claims["sub"])

    def _read_secret(self) -> bytes:
        if self._secret is None:
            try:
                self._secret = _read_or_make(self._file)
            except OSError as error:
                raise MachineError(
                    f"cannot read or make {self._file}: {error.strerror}.",
                    hint="Pages need it to sign in; the API works without. Check the workspace's rights.",
                ) from error
        return self._secret


def _read_or_make(file: Path) -> bytes:
    """The secret in the file, made first where there is none. It appears whole: of several that make one, one wins."""
    if not file.exists():
        aside = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(descriptor, "wb") as written:
                written.write(secrets.token_bytes(_SECRET_BYTES))
                written.flush()
                os.fsync(written.fileno())
            with contextlib.suppress(FileExistsError):  # another process was first; its secret counts
                os.link(aside, file)
        finally:
            aside.unlink()
    secret = file.read_bytes()
    if len(secret) != _SECRET_BYTES:
        raise MachineError(
            f"{file} holds {len(secret)} bytes instead of {_SECRET_BYTES}.",
            hint="Remove it: a new one is made, and everybody signs in again.",
        )
    return secret
