"""Answers as the API gives them, for its description. Tests ask the service for the same and compare shapes."""

from __future__ import annotations

from typing import Any

KEY = "T-1042-first"  # the suggestion's id below follows from it

SUGGESTION: dict[str, Any] = {
    "suggestion_id": "65954b9bcb65c9fc951c508a1ac212cc",
    "ticket_id": "T-1042",
    "model_version": "20261130-040335-de82c3",
    "created_at": "2026-11-30T04:03:36.338409+00:00",
    "contact_types": [
        {"contact_type": "refund", "path": "Payments::Refund", "probability": 0.9712, "band": "high"},
        {"contact_type": "invoice", "path": "Payments::Invoice", "probability": 0.0204, "band": "low"},
        {"contact_type": "login", "path": "Account::Login", "probability": 0.0046, "band": "low"},
    ],
    "templates": [
        {"template_id": "t-refund", "title": "Refund on its way", "score": 1.3195},
        {"template_id": "t-invoice", "title": "Your invoice", "score": -0.2893},
        {"template_id": "t-login", "title": "Reset your password", "score": -4.0559},
    ],
    "abstained": False,
    "abstain_reason": None,
    "out_of_scope": 0.3088,
    "answer_set": {"coverage": 0.9, "contact_types": ["refund"], "under": None},
    "similar": [
        {
            "ticket_id": "h-133",
            "snippet": "Good morning, I was charged twice and want my money back. Please hurry, I travel tomorrow.",
            "contact_type": "refund",
            "similarity": 0.8655,
        }
    ],
    "words": [{"word": "refund", "weight": 0.2707}, {"word": "twice", "weight": 0.1901}],
    "arm": "champion",
}
FEEDBACK: dict[str, Any] = {
    "feedback_id": "T-1042-done",
    "suggestion_id": SUGGESTION["suggestion_id"],
    "ticket_id": "T-1042",
    "action": "corrected",
    "at": "2026-11-30T04:04:17.361174+00:00",
    "contact_type": "refund",
    "template_id": "t-refund",
    "edit_distance": None,
    "handle_seconds": 41.5,
    "agent": "Ana",
}
TREE: dict[str, Any] = {
    "version": 1,
    "contact_types": [
        {
            "id": "payments",
            "name": "Payments",
            "parent": None,
            "description": "",
            "active": True,
            "path": "Payments",
        },
        {
            "id": "refund",
            "name": "Refund",
            "parent": "payments",
            "description": "Money is wanted back.",
            "active": True,
            "path": "Payments::Refund",
        },
    ],
    "mapping": {"chargeback": ["refund"]},
}
TEMPLATES: dict[str, Any] = {
    "templates": [
        {
            "template_id": "t-refund",
            "title": "Refund on its way",
            "body": "Hello {{name}}, we refund {{amount}}.",
            "language": "en",
            "contact_types": ["refund"],
            "active": True,
            "version": 1,
        }
    ]
}
MODEL: dict[str, Any] = {
    "version": "20261130-040335-de82c3",
    "created_at": "2026-11-30T04:03:35+00:00",
    "loaded_at": "2026-11-30T04:03:36.123456Z",
    "tree_version": 1,
    "languages": ["en", "de"],
    "windows": {"train": {"tickets": 144, "from": "2026-01-01", "until": "2026-01-06"}},
    "metrics": {"test": {"accuracy": 0.98}},
    "challenger": None,
    "refused": None,
}
INFERENCE: dict[str, Any] = {
    "model_name": "triage",
    "model_version": "20261130-040335-de82c3",
    "id": "42",
    "outputs": [
        {"name": "contact_types", "shape": [1, 2], "datatype": "BYTES", "data": ["refund", "invoice"]},
        {"name": "probabilities", "shape": [1, 2], "datatype": "FP32", "data": [0.9712, 0.0204]},
    ],
}
STREAM_REQUEST = """{"ticket_id": "T-1", "body": "Hello, I was charged twice and want my money back."}
{"ticket": {"ticket_id": "T-2", "body": " "}, "top_types": 1}
"""
STREAM_ANSWER = """{"line":1,"suggestion":{"suggestion_id":"d187b312b5df4addb044bad0858ff828","ticket_id":"T-1","model_version":"20261130-040335-de82c3","created_at":"2026-11-30T04:03:37.102853+00:00","contact_types":[{"contact_type":"refund","path":"Payments::Refund","probability":0.9712,"band":"high"}],"templates":[{"template_id":"t-refund","title":"Refund on its way","score":3.7039}],"abstained":false,"abstain_reason":null,"out_of_scope":0.3375,"answer_set":null,"similar":[],"words":[{"word":"twice","weight":0.5138}],"arm":"champion"}}
{"line":2,"problem":{"type":"about:blank","title":"Unprocessable Entity","status":422,"detail":"empty body: the body holds no text; a ticket needs the customer's words.","code":"ticket-refused","hint":"Send what the customer wrote in `body`."}}
"""  # noqa: E501  # a line of the answer is a line
