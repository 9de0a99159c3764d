"""The page as a service: what may be asked of it, and what it answers.

Nothing that is sent is written to disk or kept: an image stands in memory until it is answered. No address and no name
that is sent leads to a file: what is served was read when the service was made.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from brain_mri.errors import UserError
from brain_mri.images.badimage import BadImage, Reason
from brain_mri.prediction.classifier import Classifier
from brain_mri.web.answering import TooMany, answer, answer_zip, heat_map, legend, limits
from brain_mri.web.line import Busy, Line
from brain_mri.web.page import render
from brain_mri.web.samples import samples
from brain_mri.web.schema import Health, openapi
from brain_mri.web.words import PROBLEMS, methods_of, refusal

MOST_BYTES = 64 * 2**20  # of a file
MOST_HELD = 256 * 2**20  # bytes of all files together that are arriving or waiting
MOST_SECONDS = 60  # for a file to arrive
WAITING = 40  # images, and as many maps, that are under way or wait
WAITING_SAMPLES = 400
LOCAL = ["127.0.0.1", "localhost", "[::1]", "::1"]
FOLDER = Path(__file__).parent / "static"
STATIC = {"page.css": "text/css", "page.js": "text/javascript"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


class Service:
    """What stands at each address, and the classifier behind them."""

    def __init__(self, classifier: Classifier, local: str | None = "127.0.0.1"):
        """Read all that is served; `local`: the address at which this computer alone reaches the page, None: others
        may."""
        study = classifier.study
        self.classifier, self.local = classifier, local
        # Each has a thread of its own, so that a slow map keeps no answer waiting.
        self.answers, self.maps = Line("answers", WAITING), Line("maps", WAITING)
        self.drawing = Line("samples", WAITING_SAMPLES)
        self.held = 0
        shown = samples(study.folder, study.params)
        self.samples = {f"{number}.png": sample for number, sample in enumerate(shown)}
        self.limits = limits(classifier)
        page = render(study, self.samples, self.limits, MOST_BYTES, local is not None).encode()
        static = {f"/{name}": ((FOLDER / name).read_bytes(), kind) for name, kind in STATIC.items()}
        colours = legend(study.params.plots.heatmap)
        described = json.dumps(openapi(classifier.classes, list(methods_of(study)))).encode()
        health = Health(
            status="ok", study=study.folder.resolve().name, pipeline=study.pipeline, classes=classifier.classes
        )
        self.fixed = {
            "/": (page, "text/html"),
            "/legend.png": (colours, "image/png"),
            "/openapi.json": (described, "application/json"),
            "/health": (health.model_dump_json().encode(), "application/json"),
            **static,
        }

    def app(self) -> Starlette:
        """The application."""
        routes = [
            *(Route(path, self.show) for path in self.fixed),
            Route("/samples/{name}", self.show_sample),
            Route("/answer", self.give_answer, methods=["POST"]),
            Route("/answers", self.give_answers, methods=["POST"]),
            Route("/map", self.give_map, methods=["POST"]),
        ]
        # A site elsewhere can give its own name this computer's address, and read answers as if they were its own.
        hosts = [*LOCAL, self.local] if self.local else ["*"]
        middleware = [Middleware(SecurityHeaders), Middleware(TrustedHostMiddleware, allowed_hosts=hosts)]
        handlers: Any = {HTTPException: self.problem, BadImage: self.refused, Busy: self.busy, UserError: self.unfit}
        return Starlette(routes=routes, middleware=middleware, exception_handlers=handlers)

    def warm_up(self) -> None:
        """Answer once, and begin to make a map: the first ones take seconds more than later ones."""
        size = self.classifier.study.card.crop.size
        crops = np.zeros((1, size, size), np.uint8)
        self.classifier.classify(crops)
        self.maps.ahead(lambda: self.classifier.explain(crops, [self.classifier.classes[0]]))

    async def show(self, request: Request) -> Response:
        content, kind = self.fixed[request.url.path]
        return Response(content, media_type=kind)

    async def show_sample(self, request: Request) -> Response:
        sample = self.samples.get(request.path_params["name"])
        if sample is None:
            raise HTTPException(404)
        return Response(await self.drawing.do(sample.read), media_type="image/png")

    async def give_answer(self, request: Request) -> Response:
        """The body is a file; `ending` is the end of its name, `slice` the number of a volume's slice."""
        ending, slice = request.query_params.get("ending", ""), request.query_params.get("slice")
        if slice is not None and not (slice.isascii() and slice.isdecimal() and len(slice) < 7):
            raise HTTPException(400)
        number = None if slice is None else int(slice)
        async with self.received(request) as data:
            return JSONResponse(await self.answers.do(answer, self.classifier, data, ending, number))

    async def give_answers(self, request: Request) -> Response:
        """The body is a zip of images."""
        async with self.received(request) as data:
            return JSONResponse({"answers": await self.answers.do(answer_zip, self.classifier, data)})

    async def give_map(self, request: Request) -> Response:
        """The body is the crop that came with an answer; `method` and `class` say what is explained."""
        method, name = request.query_params.get("method"), request.query_params.get("class")
        if method not in methods_of(self.classifier.study) or name not in self.classifier.classes:
            raise HTTPException(400)
        async with self.received(request) as data:
            image = await self.maps.do(heat_map, self.classifier, data, method, name)
            return Response(image, media_type="image/png")

    @asynccontextmanager
    async def received(self, request: Request) -> AsyncIterator[bytes]:
        """Yield the request's body, within the limits of size, time and memory; raises HTTPException."""
        # A browser lets no other site send this type: it would have to ask first, and gets no leave.
        if request.headers.get("content-type") != "application/octet-stream":
            raise HTTPException(415)
        length = request.headers.get("content-length", "")
        # Of a body in chunks the server takes what comes, whatever length stands beside that.
        if "transfer-encoding" in request.headers or not (length.isascii() and length.isdecimal()):
            raise HTTPException(411)
        if len(length) > 12 or (size := int(length)) > MOST_BYTES:
            raise HTTPException(413)
        if self.held + size > MOST_HELD:
            raise Busy
        self.held += size
        try:
            yield await arrived(request, size)
        finally:
            self.held -= size

    async def problem(self, request: Request, error: HTTPException) -> Response:
        if error.status_code == 413:
            return await self.refused(request, BadImage(Reason.TOO_LARGE))
        return JSONResponse({"error": PROBLEMS[error.status_code]}, error.status_code, error.headers)

    async def refused(self, request: Request, error: BadImage) -> Response:
        said = refusal(error, self.limits, MOST_BYTES, "slice" in request.query_params)
        return JSONResponse({"error": said}, 413 if error.reason == Reason.TOO_LARGE else 422)

    async def unfit(self, request: Request, error: UserError) -> Response:
        return JSONResponse({"error": str(error)}, 413 if isinstance(error, TooMany) else 422)

    async def busy(self, request: Request, error: Busy) -> Response:
        return JSONResponse({"error": PROBLEMS[503]}, 503, {"Retry-After": "5"})


async def arrived(request: Request, most: int) -> bytes:
    """The request's whole body; raises HTTPException where it does not come, or more than `most` bytes."""
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(MOST_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size > most:
                    raise HTTPException(413)
                chunks.append(chunk)
        return b"".join(chunks)
    except TimeoutError:
        raise HTTPException(408) from None
    except ClientDisconnect:
        raise HTTPException(400) from None


class SecurityHeaders:
    """Adds the headers that keep a browser from loading or running anything but the page's own files."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does, with the headers."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, send_with_headers)
