"""The application: what every served model answers, around the routes of the one that is served."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

import hfcls
from hfcls.inference.serve import page, schema
from hfcls.inference.serve.batching import Batcher, Engine
from hfcls.inference.serve.errors import Refused, RefusedResponse
from hfcls.inference.serve.gate import Gate
from hfcls.inference.serve.metrics import Metrics
from hfcls.inference.serve.service import Limits, Service
from hfcls.terminal import shortened

OPEN_PATHS = ("/", "/health")  # which say nothing of the model


@dataclass(frozen=True)
class Served:
    """A model to serve.

    Attributes:
        name: for people.
        engine: what computes its answers.
        add_routes: adds its routes to an application.
        info: what /info says of it.
    """

    name: str
    engine: Engine
    add_routes: Callable[[FastAPI, Service], None]
    info: dict[str, Any] = field(default_factory=dict)


def make_app(served: Served, limits: Limits, api_key: str | None = None) -> Gate:
    """The ASGI application of a model, whose thread begins with it and ends with its lifespan."""
    metrics = Metrics()
    batcher = Batcher(served.engine, max_tokens=limits.tokens, max_requests=limits.requests, observe=metrics.batch)
    metrics.waiting.set_function(lambda: batcher.requests)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        batcher.close()

    app = FastAPI(
        title=f"hfcls: {served.name}",
        version=hfcls.__version__,
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        responses={"4XX": {"model": schema.ErrorResponse}, "5XX": {"model": schema.ErrorResponse}},
    )
    served.add_routes(app, Service(batcher, limits))
    gate = Gate(
        app,
        metrics=metrics,
        paths=[route.path for route in app.routes if "{" not in route.path] + ["/", "/health", "/info", "/metrics"],
        api_key=api_key,
        open_paths=OPEN_PATHS,
    )
    _add_common_routes(app, _info(served, limits), metrics, gate)
    _add_errors(app)
    return gate


def _info(served: Served, limits: Limits) -> dict[str, Any]:
    """As text-embeddings-inference has it, and what this model is besides."""
    return {
        "model_id": served.name,
        "version": hfcls.__version__,
        "max_concurrent_requests": limits.requests,
        "max_batch_tokens": limits.tokens,
        "max_client_batch_size": limits.inputs,
        "auto_truncate": True,
        "max_body_bytes": limits.body,
        "max_file_bytes": limits.file,
        "deadline_seconds": limits.deadline,
        **served.info,
    }


def _add_common_routes(app: FastAPI, info: dict[str, Any], metrics: Metrics, gate: Gate) -> None:
    whole_page = page.render()

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def index() -> HTMLResponse:
        return HTMLResponse(whole_page.html, headers={"content-security-policy": whole_page.policy})

    @app.get("/health")
    async def health() -> JSONResponse:
        """200 while the server takes requests, 503 once it is about to end."""
        if gate.draining:
            raise Refused(503, "the server is about to end", "Unhealthy")
        return JSONResponse({"status": "ok"})

    @app.get("/info")
    async def model_info() -> JSONResponse:
        """The model and the limits of this server."""
        return JSONResponse(info)

    @app.get("/metrics", response_class=Response)
    async def prometheus() -> Response:
        """Counters and histograms for Prometheus."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        return RefusedResponse(error)

    @app.exception_handler(HTTPException)
    async def no_such_route(request: Request, error: HTTPException) -> Response:
        # Whatever its body was, nobody read it.
        return RefusedResponse(Refused(error.status_code, error.detail, headers=error.headers, unread=True))

    @app.exception_handler(RequestValidationError)
    async def odd_parameter(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        name = shortened(str(first["loc"][-1]), 60)
        return RefusedResponse(Refused(422, f"{name}: {first['msg']}", unread=True))

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        return RefusedResponse(Refused(500, "the server failed on this request", "Backend"))
