"""The tensors of the Open Inference Protocol, as JSON, and what the model `triage` takes and gives."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

from service.schemas import EXAMPLE_TICKET, Count

MODEL = "triage"
PLATFORM = "onnx_onnxv1"
INPUTS = ("body", "subject", "channel", "language", "ticket_id", "attributes")  # the first is required
OUTPUTS = {  # name -> (datatype, dimensions)
    "suggestion_id": ("BYTES", 1),
    "contact_types": ("BYTES", 2),
    "probabilities": ("FP32", 2),
    "templates": ("BYTES", 2),
    "scores": ("FP32", 2),
    "abstained": ("BOOL", 1),
}


class ProtocolObject(BaseModel):
    """What the protocol's request objects share: unknown members are refused, parameters may hold anything."""

    model_config = ConfigDict(extra="forbid")


class InferParameters(BaseModel):
    """Parameters of a request. Those that are not known are passed over, as the protocol has it."""

    model_config = ConfigDict(extra="allow")
    top_types: Annotated[Count, Field(ge=1)] = 3
    top_templates: Count = 3
    binary_data_output: StrictBool = False


class InferInput(ProtocolObject):
    """An input tensor of texts: `body` is required; `subject`, `channel`, `language`, `ticket_id` and `attributes`
    (a JSON object as text) may stand beside it, an empty text meaning none."""

    name: StrictStr
    shape: Annotated[list[Annotated[int, Field(strict=True, ge=0)]], Field(min_length=1, max_length=2)]
    datatype: StrictStr = Field(description="BYTES")
    parameters: dict[str, Any] | None = None
    data: list[StrictStr | list[StrictStr]] = Field(description="The texts, one a ticket; flat or as the shape has it.")


class InferOutput(ProtocolObject):
    """An output tensor that is wanted."""

    name: StrictStr
    parameters: dict[str, Any] | None = None


class InferRequest(ProtocolObject):
    """Tickets as tensors: one row a ticket."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "id": "42",
                    "parameters": {"top_types": 2},
                    "inputs": [
                        {"name": "body", "shape": [1], "datatype": "BYTES", "data": [EXAMPLE_TICKET["body"]]},
                        {"name": "channel", "shape": [1], "datatype": "BYTES", "data": ["email"]},
                        {
                            "name": "attributes",
                            "shape": [1],
                            "datatype": "BYTES",
                            "data": ['{"city": "Lisbon", "amount": 12.5}'],
                        },
                    ],
                    "outputs": [{"name": "contact_types"}, {"name": "probabilities"}],
                }
            ]
        },
    )
    id: Annotated[StrictStr, Field(max_length=200)] | None = None
    parameters: InferParameters = Field(default_factory=InferParameters)
    inputs: Annotated[list[InferInput], Field(min_length=1)]
    outputs: list[InferOutput] | None = None


class TensorAnswer(BaseModel):
    """An output tensor; `data` is flat, row after row."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class InferAnswer(BaseModel):
    """The output tensors, in the order they were asked for."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[TensorAnswer]


class TensorMetadata(BaseModel):
    """A tensor that the model takes or gives."""

    name: str
    datatype: str
    shape: list[int] = Field(description="-1 stands for any number.")


class ModelMetadata(BaseModel):
    """What the model takes and gives, and the version that can be asked for."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": MODEL,
                    "versions": ["20261130-040335-de82c3"],
                    "platform": PLATFORM,
                    "inputs": [{"name": "body", "datatype": "BYTES", "shape": [-1]}],
                    "outputs": [{"name": "contact_types", "datatype": "BYTES", "shape": [-1, -1]}],
                }
            ]
        }
    )
    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ServerMetadata(BaseModel):
    """The server. `extensions` are those of the protocol."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "ticket-triage", "version": "0.1.0", "extensions": []}]}
    )
    name: str
    version: str
    extensions: list[str]


class LiveAnswer(BaseModel):
    """The process answers."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"live": True}]})
    live: bool


class ReadyAnswer(BaseModel):
    """`live` is the protocol's own name here; `ready` is what it means."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"live": True, "ready": True}]})
    live: bool
    ready: bool


class ModelReadyAnswer(BaseModel):
    """The model is loaded."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": MODEL, "ready": True}]})
    name: str
    ready: bool
