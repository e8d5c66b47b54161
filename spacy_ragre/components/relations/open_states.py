"""What the reader of open labels has read and need not read again, as it is saved with a component."""

import json
from typing import Dict, Tuple

import numpy as np

from ...errors import Errors

LabelStates = Dict[str, np.ndarray]
Readings = Dict[str, Tuple[np.ndarray, np.ndarray]]

_HEADER = 8  # bytes of a safetensors file that say how long its JSON header is


def pack_states(checksum: str, labels: LabelStates, readings: Readings) -> bytes:
    """RETURNS (bytes): a safetensors file; empty where nothing was read.

    checksum (str): of the weights that read.
    labels (LabelStates): states of frozen labels, by what was read, float32. *Shape:* (views,) each
    readings (Readings): vectors and relatedness of the examples' pairs, by text; float16 and float32. *Shapes:*
        (pairs, views) and (pairs,) each
    """
    if not labels and not readings:
        return b""
    from safetensors.numpy import save

    tensors = {}
    if labels:
        tensors["labels"] = np.stack(list(labels.values()))
    if readings:
        tensors["vectors"], tensors["related"] = (
            np.concatenate([reading[i] for reading in readings.values()]) for i in (0, 1)
        )
    about = {
        "weights": checksum,
        "labels": list(labels),
        "texts": [[key, len(related)] for key, (_, related) in readings.items()],
    }
    return bytes(save(tensors, metadata={"about": json.dumps(about)}))


def unpack_states(data: bytes, file: str) -> Tuple[str, LabelStates, Readings]:
    """Take what `pack_states` gave.

    data (bytes): the file. A ValueError is raised where it is damaged.
    file (str): where it comes from.
    RETURNS (Tuple[str, LabelStates, Readings]): what it was made of.
    """
    if not data:
        return "", {}, {}
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(data)
        header = json.loads(data[_HEADER : _HEADER + int.from_bytes(data[:_HEADER], "little")])
        about = json.loads(header["__metadata__"]["about"])
        labels = dict(zip(about["labels"], tensors["labels"], strict=True)) if about["labels"] else {}
        readings: Readings = {}
        at = 0
        for key, count in about["texts"]:
            readings[key] = tensors["vectors"][at : at + count], tensors["related"][at : at + count]
            at += count
        return str(about["weights"]), labels, readings
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ValueError(Errors.R211.format(file=file, problem=error)) from error
