"""What /openapi.json says of bodies: they are read and checked by hand, so FastAPI does not see them."""

from typing import Any

from pydantic import BaseModel


def body_of(*models: type[BaseModel], **media_types: dict[str, Any]) -> dict[str, Any]:
    """`openapi_extra` of a route that takes a JSON object of one of `models`."""
    schemas = [model.model_json_schema(ref_template="#/components/schemas/{model}") for model in models]
    schema = schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
