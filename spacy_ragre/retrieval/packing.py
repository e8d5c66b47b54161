"""What stores of examples are made of on disk: instances as messages, and the checks of what is loaded."""

import json
from typing import Any, Dict, FrozenSet, List, Optional, Sequence

import srsly

from ..errors import Errors
from ..instances import Answer, Instance


def unpack_files(data: bytes) -> Dict[str, bytes]:
    """RETURNS (Dict[str, bytes]): what a message holds by name. Other data raise a ValueError."""
    try:
        files = srsly.msgpack_loads(data)
    except ValueError as error:
        raise ValueError(Errors.R211.format(file="bytes", problem=error)) from error
    if not isinstance(files, dict) or not all(isinstance(v, bytes) for v in files.values()):
        raise ValueError(Errors.R211.format(file="bytes", problem="a table of files is expected"))
    return files


def pack_instances(instances: Sequence[Instance]) -> bytes:
    """RETURNS (bytes): instances as a msgpack message."""
    # Pairs of one document share its text, which is written once.
    texts: Dict[str, int] = {}
    label_sets: Dict[FrozenSet[str], int] = {}
    rows = [
        [
            texts.setdefault(item.text, len(texts)),
            *item.first,
            *item.second,
            item.first_type,
            item.second_type,
            None if item.answers is None else [[answer.label, answer.reversed] for answer in item.answers],
            item.id,
            # Left out where there is none, so that stores of pairs stay as they were.
            *([item.response] if item.response or item.annotated is not None else []),
            *([] if item.annotated is None else [label_sets.setdefault(item.annotated, len(label_sets))]),
        ]
        for item in instances
    ]
    data: Dict[str, Any] = {"texts": list(texts), "examples": rows}
    if label_sets:
        data["label_sets"] = [sorted(labels) for labels in label_sets]
    return bytes(srsly.msgpack_dumps(data))


def unpack_instances(data: bytes) -> List[Instance]:
    """RETURNS (List[Instance]): the instances of a message that `pack_instances` made."""
    plain = srsly.msgpack_loads(data)
    label_sets = [frozenset(labels) for labels in (plain["label_sets"] if "label_sets" in plain else ())]
    return [
        Instance(
            text=plain["texts"][text],
            first=(a, b),
            second=(c, d),
            first_type=first_type,
            second_type=second_type,
            answers=None if answers is None else tuple(Answer(*answer) for answer in answers),
            id=name,
            response=rest[0] if rest else "",
            annotated=label_sets[rest[1]] if len(rest) > 1 else None,
        )
        for text, a, b, c, d, first_type, second_type, answers, name, *rest in plain["examples"]
    ]


def read_instances(data: bytes, file: str) -> List[Instance]:
    """Read a message that may be damaged: a ValueError is raised then.

    data (bytes): what `pack_instances` gave.
    file (str): where it comes from.
    RETURNS (List[Instance]): the instances.
    """
    try:
        return unpack_instances(data)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(Errors.R211.format(file=file, problem=error)) from error


def check_meta(data: bytes, file: str, fingerprint: Optional[str], version: int) -> Dict[str, Any]:
    """Read what a store says of itself.

    data (bytes): JSON.
    file (str): where it is from, for messages.
    fingerprint (Optional[str]): fingerprint of the encoder that will make the queries' keys.
    version (int): the version that can be read.
    RETURNS (Dict[str, Any]): the content. Where it is damaged, or does not fit, a ValueError is raised.
    """
    try:
        meta = json.loads(data)
    except ValueError as error:
        raise ValueError(Errors.R211.format(file=file, problem=error)) from error
    if not isinstance(meta, dict) or "version" not in meta:
        raise ValueError(Errors.R211.format(file=file, problem="it holds no version"))
    if meta["version"] != version:
        raise ValueError(Errors.R213.format(file=file, found=meta["version"], expected=version))
    missing = {"count", "width", "index", "fingerprint", "sha256"} - set(meta)
    if missing:
        raise ValueError(Errors.R211.format(file=file, problem=f"it lacks {sorted(missing)}"))
    # A store without examples has no keys that could be of another encoder.
    if fingerprint is not None and meta["count"] and meta["fingerprint"] != fingerprint:
        raise ValueError(
            Errors.R212.format(file=file, found=meta["fingerprint"][:12] or "none", expected=fingerprint[:12] or "none")
        )
    return meta


def check_hash(meta: Dict[str, Any], name: str, found: str, file: str) -> None:
    """Raise a ValueError where a file has another checksum than what `meta` says."""
    if meta["sha256"].get(name) != found:
        raise ValueError(Errors.R211.format(file=file, problem="its checksum is not the one that was saved"))
