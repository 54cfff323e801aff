"""/v2: the Open Inference Protocol (KServe v2), so that gateways and clients made for model servers can ask for
suggestions. Tensors travel as JSON; the binary extension is refused.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from math import prod
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic import TypeAdapter, ValidationError

from service import health
from service.answering import Wanted, answer
from service.examples import INFERENCE
from service.kserve_schemas import (
    INPUTS,
    MODEL,
    OUTPUTS,
    PLATFORM,
    InferAnswer,
    InferInput,
    InferRequest,
    LiveAnswer,
    ModelMetadata,
    ModelReadyAnswer,
    ReadyAnswer,
    ServerMetadata,
    TensorMetadata,
)
from service.problems import FieldError, Problem, documented
from service.schemas import Attributes, TicketFields
from service.serving import Held, Serving, held_by
from service.suggestions import wanted_of
from service.wire import answers, json_answer, read_json, reads
from tickets.records import Suggestion

router = APIRouter(prefix="/v2", tags=["inference"])

ModelName = Annotated[str, Path(description="`triage` is the only one.", examples=[MODEL])]
Version = Annotated[str, Path(description="The release that is served, as GET /v2/models/triage names it.")]
_MAY_FAIL = documented(404, 503)
_INFER: dict[str, Any] = {
    "response_model": InferAnswer,
    "responses": answers(INFERENCE) | documented(400, 404, 413, 415, 422, 429, 503),
    "openapi_extra": reads(InferRequest),
}
_ATTRIBUTES: TypeAdapter[dict[str, Any]] = TypeAdapter(Attributes)


@router.get("")
def server_metadata() -> ServerMetadata:
    """The server's name and version. It has no extensions: tensors travel as JSON."""
    try:
        installed = version("ticket-triage")
    except PackageNotFoundError:  # run from a source tree that was not installed
        installed = "0"
    return ServerMetadata(name="ticket-triage", version=installed, extensions=[])


@router.get("/health/live")
async def server_live() -> LiveAnswer:
    """The process answers."""
    return LiveAnswer(live=True)


@router.get("/health/ready", responses=documented(503))
async def server_ready(request: Request, held: Held) -> ReadyAnswer:
    """A release is loaded and the process is not about to end; otherwise 503 with the reason."""
    await health.ready(request, held)
    return ReadyAnswer(live=True, ready=True)


@router.get("/models/{model_name}", responses=_MAY_FAIL)
def model_metadata(held: Held, model_name: ModelName) -> ModelMetadata:
    """The tensors that the model takes and gives."""
    return _metadata(_served(held, model_name))


@router.get("/models/{model_name}/versions/{model_version}", responses=_MAY_FAIL)
def model_version_metadata(held: Held, model_name: ModelName, model_version: Version) -> ModelMetadata:
    """The same, where this version is the one that is served."""
    return _metadata(_served(held, model_name, model_version))


@router.get("/models/{model_name}/ready", responses=_MAY_FAIL)
def model_ready(held: Held, model_name: ModelName) -> ModelReadyAnswer:
    """The model is loaded; otherwise 503 with the reason."""
    _served(held, model_name)
    return ModelReadyAnswer(name=MODEL, ready=True)


@router.get("/models/{model_name}/versions/{model_version}/ready", responses=_MAY_FAIL)
def model_version_ready(held: Held, model_name: ModelName, model_version: Version) -> ModelReadyAnswer:
    """This version is loaded; 404 where another is, 503 where none is."""
    _served(held, model_name, model_version)
    return ModelReadyAnswer(name=MODEL, ready=True)


@router.post("/models/{model_name}/infer", **_INFER)
async def infer(request: Request, model_name: ModelName) -> Response:
    """Suggestions for the tickets of the input tensors, as output tensors. All or none, as /v1/suggestions/batch."""
    _served(held_by(request), model_name)
    return await _infer(request)


@router.post("/models/{model_name}/versions/{model_version}/infer", **_INFER)
async def infer_version(request: Request, model_name: ModelName, model_version: Version) -> Response:
    """The same, refused with 404 where another version is served."""
    _served(held_by(request), model_name, model_version)
    return await _infer(request)


def _metadata(served: str) -> ModelMetadata:
    return ModelMetadata(
        name=MODEL,
        versions=[served],
        platform=PLATFORM,
        inputs=[TensorMetadata(name=name, datatype="BYTES", shape=[-1]) for name in INPUTS],
        outputs=[
            TensorMetadata(name=name, datatype=datatype, shape=[-1] * dimensions)
            for name, (datatype, dimensions) in OUTPUTS.items()
        ],
    )


async def _infer(request: Request) -> Response:
    held = held_by(request)
    _refuse_binary(request)
    asked = await read_json(request, InferRequest)
    names = _outputs(asked)
    made = await answer(held, _wanted(held, asked))
    content: dict[str, Any] = {"model_name": MODEL, "model_version": made[0].model_version}
    if asked.id is not None:
        content["id"] = asked.id
    tensors = _tensors(made)
    return json_answer(content | {"outputs": [tensors[name] for name in names]})


def _served(held: Serving, name: str, wanted: str = "") -> str:
    """The version that is served. Raises Problem: 404 for another model or version, 503 without a release."""
    if name != MODEL:
        raise Problem(404, "unknown-model", "there is no model of this name.", hint=f"The only model is `{MODEL}`.")
    served = held.releases.require(retry_after=held.options.retry_after_seconds).version
    if wanted not in {"", served}:
        raise Problem(
            404,
            "unknown-version",
            f"this version is not served; {served} is.",
            hint="Leave the version out to get whichever is served.",
        )
    return served


def _refuse_binary(request: Request) -> None:
    if "inference-header-content-length" in request.headers:
        raise Problem(
            415,
            "binary-tensors",
            "the request holds tensors as binary data; only JSON is read.",
            hint="Send the texts in `data`, without the header Inference-Header-Content-Length.",
        )


def _outputs(asked: InferRequest) -> list[str]:
    """The names of the outputs that are wanted: all, unless the request lists some."""
    if asked.parameters.binary_data_output:
        raise _refusal("/parameters/binary_data_output", "must be false: outputs are given as JSON")
    for place, output in enumerate(asked.outputs or []):
        if output.name not in OUTPUTS:
            raise _refusal(f"/outputs/{place}/name", f"must be one of {', '.join(OUTPUTS)}")
        if output.parameters and output.parameters.get("binary_data"):
            raise _refusal(f"/outputs/{place}/parameters/binary_data", "must be false: outputs are given as JSON")
    return [output.name for output in asked.outputs] if asked.outputs is not None else list(OUTPUTS)


def _wanted(held: Serving, asked: InferRequest) -> list[Wanted]:
    """One wanted suggestion a row of the input tensors. Raises Problem (422) for tensors that do not fit."""
    columns = {tensor.name: (place, _column(place, tensor)) for place, tensor in enumerate(asked.inputs)}
    if len(columns) < len(asked.inputs):
        raise _refusal("/inputs", "must name each tensor once")
    if INPUTS[0] not in columns:
        raise _refusal("/inputs", f"must hold the tensor `{INPUTS[0]}`")
    place_of_body, bodies = columns[INPUTS[0]]
    for place, column in columns.values():
        if len(column) != len(bodies):
            raise _refusal(f"/inputs/{place}/shape", "must have as many rows as `body`")
    if not 1 <= len(bodies) <= held.options.max_batch:
        raise _refusal(f"/inputs/{place_of_body}/shape", f"must have 1 to {held.options.max_batch} rows")
    many = asked.parameters
    return [
        wanted_of(
            held,
            _fields(columns, row),
            many.top_types,
            many.top_templates,
            pointer=f"/inputs/{place_of_body}/data/{row}",
        )
        for row in range(len(bodies))
    ]


def _column(place: int, tensor: InferInput) -> list[str]:
    """A tensor's texts, one a ticket."""
    where = f"/inputs/{place}"
    if tensor.name not in INPUTS:
        raise _refusal(f"{where}/name", f"must be one of {', '.join(INPUTS)}")
    if tensor.datatype != "BYTES":
        raise _refusal(f"{where}/datatype", "must be BYTES")
    if tensor.parameters and "binary_data_size" in tensor.parameters:
        raise _refusal(f"{where}/parameters/binary_data_size", "must be left out: tensors are read as JSON")
    texts = [text for row in tensor.data for text in ([row] if isinstance(row, str) else row)]
    if prod(tensor.shape) != len(texts) or (len(tensor.shape) == 2 and tensor.shape[1] != 1):
        raise _refusal(f"{where}/shape", f"must be [{len(texts)}], as many as `data` has")
    return texts


def _fields(columns: dict[str, tuple[int, list[str]]], row: int) -> TicketFields:
    """A row's ticket, checked as one of /v1/suggestions is."""
    given = {name: column[row] for name, (_, column) in columns.items() if column[row] != "" or name == INPUTS[0]}
    try:
        attributes = _ATTRIBUTES.validate_json(given.pop("attributes", "{}"))
    except ValidationError:
        where = f"/inputs/{columns['attributes'][0]}/data/{row}"
        raise _refusal(where, "must be the text of a JSON object, name -> value") from None
    try:
        return TicketFields.model_validate({**given, "attributes": attributes})
    except ValidationError as refused:
        first = refused.errors(include_input=False, include_url=False)[0]
        raise _refusal(f"/inputs/{columns[str(first['loc'][0])][0]}/data/{row}", first["msg"]) from None


def _tensors(made: Sequence[Suggestion]) -> dict[str, dict[str, Any]]:
    """Every output, by name. Rows are filled up with "" and 0 where a ticket has fewer suggestions than another."""
    types, templates = [one.contact_types for one in made], [one.templates for one in made]
    return {
        "suggestion_id": _tensor("suggestion_id", [[one.suggestion_id] for one in made], ""),
        "contact_types": _tensor("contact_types", [[ranked.contact_type for ranked in row] for row in types], ""),
        "probabilities": _tensor("probabilities", [[ranked.probability for ranked in row] for row in types], 0.0),
        "templates": _tensor("templates", [[ranked.template_id for ranked in row] for row in templates], ""),
        "scores": _tensor("scores", [[ranked.score for ranked in row] for row in templates], 0.0),
        "abstained": _tensor("abstained", [[one.abstained] for one in made], False),
    }


def _tensor(name: str, rows: Sequence[Sequence[Any]], filling: Any) -> dict[str, Any]:
    datatype, dimensions = OUTPUTS[name]
    width = max((len(row) for row in rows), default=0)
    flat = [value for row in rows for value in (*row, *[filling] * (width - len(row)))]
    shape = [len(rows)] if dimensions == 1 else [len(rows), width]
    return {"name": name, "shape": shape, "datatype": datatype, "data": flat}


def _refusal(pointer: str, detail: str) -> Problem:
    error = FieldError(where="body", pointer=pointer, detail=detail)
    return Problem(
        422,
        "invalid",
        f"body {pointer}: {detail}.",
        hint=f"GET /v2/models/{MODEL} describes the tensors.",
        errors=[error],
    )
