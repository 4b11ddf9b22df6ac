"""What /openapi.json says of bodies: they are read and checked by hand, so FastAPI does not see them."""

from typing import Any

from pydantic import BaseModel


def body_of(model: type[BaseModel], **others: dict[str, Any]) -> dict[str, Any]:
    """`openapi_extra` of a route that takes a JSON object of `model`, or a body of one of the `others`."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}} | others}}
