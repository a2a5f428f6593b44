"""Asks the JSON API, and knows the shape that its description gives an answer."""

from typing import Any
from urllib.parse import quote

import jsonschema_rs

from nightproof.web.api.description import description
from nightproof.web.api.table import ENDPOINTS

PROBLEM = "application/problem+json"


def at(path: str, **names: str) -> str:
    """An address of the API; each name percent-encoded once."""
    for name, value in names.items():
        path = path.replace("{" + name + "}", quote(value, safe=""))
    return "/api" + path


def closed(schema: Any) -> Any:
    """The description with nothing allowed that it does not name."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        made["additionalProperties"] = False
    return made


def shape_of(path: str, code: str = "200") -> Any:
    """What checks an answer of a path."""
    about = closed(description())
    answer = about["paths"][path]["get"]["responses"][code]
    if "$ref" in answer:
        answer = about["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    (content,) = answer["content"].values()
    return jsonschema_rs.validator_for(
        {**content["schema"], "components": about["components"]},
        validate_formats=True,
    )


def asked(dashboard: Any, path: str) -> Any:
    """A document of the API."""
    answer = dashboard.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


OF_A_RUN = [one.path for one in ENDPOINTS if one.pieces[:2] == ["runs", "{run}"]]


OF_THE_STORE = [one.path for one in ENDPOINTS if "{" not in one.path]


def check_runs(dashboard: Any, path: str) -> None:
    """Each endpoint of a run, for each run of the house: nothing missing, nothing more."""
    shape = shape_of(path)
    answered = 0
    for run in dashboard.house.runs.values():
        given = {"run": run}
        query = ""
        if path.endswith(("/grid", "/items", "/items/{seq}")):
            first = asked(dashboard, at("/runs/{run}/steps", run=run))["steps"]
            if not first:
                continue
            given["seq"] = str(first[0]["seq"])
            query = "?step=" + quote(first[0]["step"]) if not path.endswith("{seq}") else ""
        if path.endswith("{n}"):
            delivered = asked(dashboard, at("/runs/{run}/artifacts", run=run))["items"]
            if not delivered:
                continue
            given["n"] = str(delivered[-1]["n"])
        if path.endswith("/verification"):
            status = asked(dashboard, at("/runs/{run}", run=run))["run"]["status"]
            if status != "completed":
                continue
        answered += 1
        shape.validate(asked(dashboard, at(path, **given) + query))
    assert answered


def check_store(dashboard: Any, path: str) -> None:
    """Each endpoint of the whole store: nothing missing, nothing more."""
    runs = dashboard.house.runs
    query = {
        "/drift": f"?a={runs['styled']}&b={runs['drifted']}",
        "/environments": f"?a={runs['styled']}&b={runs['many']}",
        "/search": "?q=nightly",
    }.get(path, "")
    shape_of(path).validate(asked(dashboard, "/api" + path + query))
