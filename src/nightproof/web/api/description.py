"""The description of the API (OpenAPI 3.1), made of the endpoints and the documents' types."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from pydantic import ConfigDict, create_model
from pydantic.json_schema import GenerateJsonSchema

from nightproof.views import RunSummary
from nightproof.views.documents import camel
from nightproof.web.api.endpoint import Endpoint, Link, Parameter
from nightproof.web.api.problems import MEDIA_TYPE, Problem
from nightproof.web.api.table import ENDPOINTS, TAGS

_ROLE = re.compile(r":\w+:(?=`)")
_ABOUT = """\
What the dashboard's pages show, as JSON; the same documents as the commands' `--json`.

The API only reads. Keys stay as they are; more may come. Times are ISO 8601 in UTC. What JSON
has no word for (NaN, the infinities) is null. Names in a path are percent-encoded once, slashes
too. A parameter that is not described is refused. Where the dashboard asks for a token, it is
given as `Authorization: Bearer TOKEN`."""
_ANY = "#/components/schemas/Json"
_JSON = {"description": "Any JSON: what is the user's own, as it was recorded."}
_REFUSALS = {
    401: "The dashboard asks for a token, and it is not given or not right.",
    404: "It is not there.",
    409: "As things are it cannot be answered; the detail says why.",
    422: "A parameter is not as described, or is none of this operation.",
    429: "Too many wrong tokens; Retry-After says when to try again.",
    431: "Address and headers are too long together: more than about 128 KiB.",
    500: "Something that was recorded is lost or damaged, or the API has a fault.",
    503: "The store does not answer.",
}


class _Exact(GenerateJsonSchema):
    """Every field of a document is there."""

    def field_is_required(self, field: Any, total: bool) -> bool:
        del field, total
        return True


@lru_cache(1)
def description() -> dict[str, Any]:
    """The OpenAPI document."""
    shapes: dict[str, Any] = {one.name: (one.shape, ...) for one in ENDPOINTS}
    model = create_model(
        "Documents",
        __config__=ConfigDict(alias_generator=camel, use_attribute_docstrings=True),
        problem=(Problem, ...),
        summary=(RunSummary, ...),
        **shapes,
    )
    found = model.model_json_schema(
        mode="serialization",
        ref_template="#/components/schemas/{model}",
        schema_generator=_Exact,
    )
    found = _inherited(_open(_tidied(_short(found))), shapes)
    paths = {one.path: {"get": _operation(one, found["properties"])} for one in ENDPOINTS}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "nightproof",
            "version": version("nightproof"),
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/api"}],
        "security": [{}, {"token": []}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(found["$defs"].items())) | {"Json": _JSON},
            "responses": {str(code): _refusal(text) for code, text in _REFUSALS.items()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _short(schema: Any) -> Any:
    """With names that say the module only where two types have one name."""
    text = json.dumps(schema)
    named = r"nightproof(?:__\w+?)*?__([a-z]+)__([A-Z]\w*)"
    return json.loads(re.sub(named, lambda one: one[1].capitalize() + one[2], text))


def _inherited(found: dict[str, Any], shapes: dict[str, Any]) -> dict[str, Any]:
    """With what the type below a type says of their fields."""
    for shape, _ in shapes.values():
        below = found["$defs"].get(shape.__base__.__name__, {}).get("properties", {})
        for name, one in below.items():
            found["$defs"][shape.__name__]["properties"][name] = one
    del found["$defs"][RunSummary.__name__]
    return found


def _operation(one: Endpoint, shapes: dict[str, Any]) -> dict[str, Any]:
    summary, rest = one.told
    same = f"The same document as `nightproof {one.command}`." if one.command else ""
    parameters = [_parameter(each) for each in one.parameters.values()]
    codes = [401, 429, 431, 500, 503]
    codes += [422] if parameters else []
    codes += [404] if any(each["in"] == "path" for each in parameters) else []
    codes += one.refusals
    shown = {"application/json": {"schema": shapes[camel(one.name)]}}
    answers: dict[str, Any] = {"200": {"description": summary + ".", "content": shown}}
    if one.links:
        answers["200"]["links"] = {name: _link(link) for name, link in one.links.items()}
    for code in sorted(set(codes)):
        answers[str(code)] = {"$ref": f"#/components/responses/{code}"}
    return {
        "operationId": one.name,
        "tags": [one.tag],
        "summary": summary,
        "description": "\n\n".join(_marked(part) for part in (rest, same) if part),
        "parameters": parameters,
        "responses": answers,
    }


def _parameter(one: Parameter) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": one.name,
        "in": one.place,
        "required": one.required,
        "description": one.description,
        "schema": one.schema,
    }
    if one.many:
        shown |= {"style": "form", "explode": True}
    return shown


def _link(link: Link) -> dict[str, Any]:
    return {
        "operationId": link.to,
        "parameters": {
            name: f"$response.body#{at}" if at[0] == "/" else at
            for name, at in link.parameters.items()
        },
    }


def _refusal(text: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": text, "content": {MEDIA_TYPE: {"schema": schema}}}


def _tidied(schema: Any) -> Any:
    """Without titles, which only repeat the names; descriptions as Markdown."""
    if isinstance(schema, list):
        return [_tidied(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "title" and isinstance(value, str):
            continue
        if isinstance(value, str):
            kept[key] = _marked(value) if key == "description" else value
        else:
            kept[key] = _tidied(value)
    return kept


def _open(schema: Any) -> Any:
    """With a name for what may be any JSON."""
    if isinstance(schema, list):
        return [_open(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _open(value) for key, value in schema.items()}
    for name, one in made.get("properties", {}).items():
        if not one.keys() - {"description", "default"}:
            made["properties"][name] = {**one, "$ref": _ANY}
    if made.get("additionalProperties") is True:
        made["additionalProperties"] = {"$ref": _ANY}
    return made


def _marked(text: str) -> str:
    """A docstring as Markdown."""
    return _ROLE.sub("", text).replace("``", "`")
