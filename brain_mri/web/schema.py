"""What the service's addresses take and give, as OpenAPI 3.1 describes it: for programs that ask it."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

VERSION = "3.1.0"


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Health(Body):
    status: str = Field(description="ok")
    study: str = Field(description="the name of the study that answers")
    pipeline: str
    classes: list[str]


class Share(Body):
    name: str
    spoken: str = Field(description="the class as people call it")
    value: float = Field(description="calibrated probability", ge=0, le=1)
    share: str = Field(description="the same in per cent, for people")


class Box(Body):
    """The part that was cut out, as shares of the image."""

    top: float
    left: float
    height: float
    width: float


class Answered(Body):
    """The answer for one image."""

    predicted: str
    headline: str
    notes: list[str]
    abstain: bool = Field(description="the confidence is below the study's threshold: for a person to decide")
    warning: bool = Field(description="looks like no brain MRI")
    not_excluded: list[str] = Field(description="the other classes that may be true, likeliest first")
    probabilities: list[Share]
    size: tuple[int, int] = Field(description="width and height in pixels")
    box: Box
    image: str = Field(description="the image, as a data URL")
    crop: str = Field(description="what the network saw, as a data URL; /map takes its PNG")
    volume: bool = Field(description="a NIfTI volume, of which one slice was taken")


class Row(Body):
    """One image of a batch: an answer, or `error`, why there is none."""

    path: str
    predicted: str | None = None
    probabilities: dict[str, float] | None = None
    not_excluded: list[str] | None = None
    abstain: bool | None = None
    warning: str | None = None
    error: str | None = None


class Batch(Body):
    answers: list[Row]


class Problem(Body):
    error: str = Field(description="what is wrong, in words")


def openapi(classes: list[str], methods: list[str]) -> dict[str, Any]:
    """Return the description of the service, whose network knows these classes and methods of explanation."""
    models = [(model, "serialization") for model in (Health, Answered, Batch, Problem)]
    _, definitions = models_json_schema(models, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]

    def reply(name: str, words: str) -> dict[str, Any]:
        return {"description": words, "content": _json({"$ref": f"#/components/schemas/{name}"})}

    problems = {
        "400": "a parameter that makes no sense",
        "408": "the body did not arrive in time",
        "411": "no Content-Length",
        "413": "too large, or too many images",
        "415": "another Content-Type than application/octet-stream",
        "422": "not an image, or not a zip",
        "500": "an error of the service, not of the request",
        "503": "too much is waiting: ask again after Retry-After seconds",
    }
    refused = {status: reply("Problem", words) for status, words in problems.items()}
    octets = {"required": True, "content": {"application/octet-stream": {"schema": {}}}}

    def post(summary: str, answer: dict[str, Any], parameters: list[dict[str, Any]]) -> dict[str, Any]:
        responses = {"200": answer, **refused}
        return {"post": {"summary": summary, "requestBody": octets, "parameters": parameters, "responses": responses}}

    png = {"description": "a picture in colour, transparent where nothing speaks", "content": {"image/png": {}}}
    return {
        "openapi": VERSION,
        "info": {
            "title": "Brain MRI classification",
            "version": "1",
            "description": "Research software: no medical device. Nothing that is sent is kept.",
        },
        "paths": {
            "/health": {
                "get": {"summary": "Is it there?", "responses": {"200": reply("Health", "ready to answer")}},
            },
            "/answer": post(
                "Classify one image; the body is the file",
                reply("Answered", "the answer, with pictures"),
                [
                    _parameter("ending", "the end of the file's name, by which some medical files are known"),
                    _parameter("slice", "which slice of a NIfTI volume, from 0", {"type": "integer", "minimum": 0}),
                ],
            ),
            "/answers": post("Classify the images of a zip, without pictures", reply("Batch", "in order of path"), []),
            "/map": post(
                "Explain a crop that came with an answer; the body is its PNG",
                png,
                [
                    _parameter("method", "of explanation", {"enum": methods}, required=True),
                    _parameter("class", "what is explained", {"enum": classes}, required=True),
                ],
            ),
        },
        "components": {"schemas": definitions["$defs"]},
    }


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _parameter(name: str, words: str, schema: dict[str, Any] | None = None, required: bool = False) -> dict[str, Any]:
    shape = schema or {"type": "string"}
    return {"name": name, "in": "query", "description": words, "required": required, "schema": shape}
