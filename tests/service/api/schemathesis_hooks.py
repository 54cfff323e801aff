"""What Schemathesis has to be told of a stream: its lines are one text, in the request and in the answer."""

from __future__ import annotations

from typing import Any

import schemathesis

NDJSON = "application/x-ndjson"


@schemathesis.serializer(NDJSON)
def lines(ctx: schemathesis.SerializationContext, value: Any) -> bytes:
    return str(value).encode("utf-8", "surrogatepass")


@schemathesis.deserializer(NDJSON)
def text(ctx: schemathesis.DeserializationContext, response: schemathesis.Response) -> str:
    return response.content.decode()
