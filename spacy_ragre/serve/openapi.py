"""The service's description in OpenAPI 3.1."""

from importlib.metadata import version
from typing import Dict, List, Mapping

from .limits import Limits
from .query import STYLES, WIDTHS
from .worker import MOST_DRAWN

Schema = Dict[str, object]

_NUMBER: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_INDEX: Schema = {"type": "integer", "minimum": 0}
_STRINGS: Schema = {"type": "array", "items": {"type": "string"}}
# What a client may be told instead of an answer, by status.
REFUSALS: Mapping[int, str] = {
    400: "The body is no JSON.",
    403: "It comes from another page, or names another host.",
    408: "The body did not arrive in time.",
    413: "It goes beyond a limit.",
    415: "The body is not JSON by its Content-Type.",
    422: "The body is not what is expected, or the pipeline can't take it.",
    500: "The pipeline failed.",
    503: "Too many texts wait, or the pipeline is not there.",
    504: "The answer took too long.",
}


def describe(limits: Limits) -> Schema:
    """RETURNS (Schema): the description.

    limits (Limits): how much a request may ask for.
    """
    health = _get("Whether it answers", "It has answered once.", "Health")
    health["responses"] = {
        "200": {"description": "It has answered once.", "content": _json("Health")},
        "503": {"description": "It does not answer.", "content": _json("Health")},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "spacy-ragre",
            "version": version("spacy-ragre"),
            "description": "Relations between the entities of texts, as a pipeline of spaCy finds them.",
        },
        "paths": {
            "/relations": {"post": _relations()},
            "/labels": {"get": _get("The pipeline's labels", "Labels, entity types and limits.", "Labels")},
            "/health": {"get": health},
            "/metrics": {"get": _text("Counts and times", "In the text format of Prometheus.", "text/plain")},
            "/": {"get": _text("The page", "A page that asks and shows.", "text/html")},
            "/openapi.json": {"get": _get("This description", "In OpenAPI 3.1.", None)},
        },
        "components": {"schemas": _schemas(limits)},
    }


def _json(schema: "str | None") -> Schema:
    return {"application/json": {"schema": {"type": "object"} if schema is None else _ref(schema)}}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _relations() -> Schema:
    responses: Dict[str, Schema] = {"200": {"description": "A document for each text.", "content": _json("Answer")}}
    for status, description in REFUSALS.items():
        responses[str(status)] = {"description": description, "content": _json("Refusal")}
    return {
        "summary": "Relations of texts",
        "operationId": "relations",
        "requestBody": {"required": True, "content": _json("Query")},
        "responses": responses,
    }


def _get(summary: str, description: str, schema: "str | None") -> Schema:
    return {"summary": summary, "responses": {"200": {"description": description, "content": _json(schema)}}}


def _text(summary: str, description: str, media_type: str) -> Schema:
    content = {media_type: {"schema": {"type": "string"}}}
    return {"summary": summary, "responses": {"200": {"description": description, "content": content}}}


def _object(properties: Mapping[str, Schema], required: List[str], description: str = "") -> Schema:
    schema: Schema = {"type": "object", "properties": dict(properties), "required": required}
    return {**schema, "description": description} if description else schema


def _schemas(limits: Limits) -> Dict[str, Schema]:
    text: Schema = {"type": "string", "maxLength": limits.chars}
    labels: Schema = {
        "description": "Labels in place of the pipeline's own: names, or each with the words between head and tail, or "
        "with a table.",
        "oneOf": [
            {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": limits.labels},
            {
                "type": "object",
                "additionalProperties": {"oneOf": [{"type": "string"}, _ref("Label")]},
                "minProperties": 1,
                "maxProperties": limits.labels,
            },
        ],
    }
    query: Schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "text": text,
            "texts": {"type": "array", "items": text, "maxItems": limits.texts},
            "labels": labels,
            "threshold": {**_NUMBER, "description": "Least score of a relation, in place of what is set."},
            "svg": {"type": "array", "items": {"enum": list(STYLES)}, "description": "Pictures of each text."},
            "width": {
                "type": "number",
                "minimum": WIDTHS[0],
                "maximum": WIDTHS[1],
                "description": "Of arcs, in pixels.",
            },
        },
        "oneOf": [{"required": ["text"]}, {"required": ["texts"]}],
    }
    label: Schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "text": {"oneOf": [{"type": "string"}, _STRINGS], "description": "'was founded by', or several such."},
            "definition": {"type": "string"},
            "symmetric": {"type": "boolean", "description": "It holds in both directions."},
            "head_types": _STRINGS,
            "tail_types": _STRINGS,
        },
    }
    entity = _object(
        {"start": _INDEX, "end": _INDEX, "label": {"type": "string"}},
        ["start", "end", "label"],
        "Characters (Unicode code points) from and to, end exclusive.",
    )
    relation = _object(
        {
            "head": _INDEX,
            "tail": _INDEX,
            "label": {"type": "string"},
            "score": _NUMBER,
            "evidence": {"type": "object"},
        },
        ["head", "tail", "label"],
        "head and tail are indexes into clusters where these are there, else into ents.",
    )
    doc = _object(
        {
            "text": {"type": "string"},
            "ents": {"type": "array", "items": _ref("Entity")},
            "clusters": {"type": "array", "items": {"type": "array", "items": _INDEX}},
            "relations": {"type": "array", "items": _ref("Relation")},
            "svg": {
                "type": "object",
                "additionalProperties": {"type": ["string", "null"]},
                "description": f"Pictures that were asked for; null where there are more than {MOST_DRAWN} relations.",
            },
        },
        ["text", "ents"],
        "A document in the interchange format.",
    )
    tables: Schema = {"type": "object", "additionalProperties": _ref("Label")}
    return {
        "Query": query,
        "Label": label,
        "Answer": _object(
            {
                "docs": {"type": "array", "items": _ref("Document")},
                "threshold": {**_NUMBER, "description": "The least score of a relation that was held to."},
            },
            ["docs", "threshold"],
        ),
        "Document": doc,
        "Entity": entity,
        "Relation": relation,
        "Labels": _object(
            {
                "pipeline": {"type": "string"},
                "labels": tables,
                "editable": {"type": "boolean", "description": "Whether a request may give labels."},
                "threshold": {**_NUMBER, "description": "Least score of a relation where a request gives none."},
                "entity_types": _STRINGS,
                "limits": {"type": "object", "additionalProperties": _INDEX},
            },
            ["pipeline", "labels", "editable", "threshold", "entity_types", "limits"],
        ),
        "Health": _object({"status": {"enum": ["starting", "ready", "failed", "closed"]}}, ["status"]),
        "Refusal": _object({"error": {"type": "string"}}, ["error"], "A numbered message."),
    }
