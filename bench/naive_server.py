"""What a team would write first: FastAPI, a transformers pipeline, torch. Served beside ours by bench/serving.py.

    python bench/naive_server.py MODEL PORT

MODEL is a folder in Hugging Face layout with a classification head. One function, run by FastAPI in its threads.
"""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Ticket(BaseModel):
    body: str


class Question(BaseModel):
    ticket: Ticket


def main(model: str, port: int) -> None:
    from transformers import pipeline

    classify = pipeline("text-classification", model=model, device="cpu", top_k=3)
    app = FastAPI()

    @app.post("/v1/suggestions")
    def suggest(question: Question) -> list[dict[str, Any]]:
        (found,) = classify([question.ticket.body], truncation=True, max_length=64)
        return [dict(one) for one in found]

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
