"""Every message of the suite, numbered. A message says what happened and how to mend it.

Ranges: R0xx annotations, R1xx backbones, R2xx retrieval, R3xx prompts and candidates, R4xx corpora and scoring,
R5xx components, R6xx command line. Warnings use W and the same ranges.
"""

from typing import Any


class _WithCodes(type):
    """Prefixes each message with its code when it is read, so that the code is written once, as the name."""

    def __getattribute__(cls, code: str) -> Any:
        value = super().__getattribute__(code)
        if isinstance(value, str) and not code.startswith("__"):
            return f"[{code}] {value}"
        return value


class Errors(metaclass=_WithCodes):
    # annotations
    R001 = (
        "Can't set doc._.{attr}: {what} has start={start} and end={end}, but a span of this document needs "
        "0 <= start < end <= {length} (token indexes, end exclusive). Check where the offsets come from: "
        "character offsets must be converted with doc.char_span() first."
    )
    R002 = (
        "Can't set doc._.{attr}: item {index} is {value!r}, but {expected} is expected. "
        "Pass {expected}, as documented for doc._.{attr}."
    )
    R003 = (
        "Can't set doc._.{attr}: cluster index {cluster} does not exist, the document has {count} entity "
        "cluster(s). Set doc._.entity_clusters first, or use indexes from 0 to {last}."
    )
    R004 = (
        "Can't set doc._.{attr}: a span belongs to another document. Spans must be made from the document "
        "they are set on, for example with doc[start:end]."
    )
    R005 = (
        "Label {label!r} is reserved for pairs that hold no relation. Leave it out of the labels: a pair "
        "without relations is one that appears in no relation."
    )
    R006 = (
        "Settings of label {label!r} are not valid: {problem}. A label maps to its text ('was founded by') or to "
        "a table with the keys text, definition, symmetric, head_types and tail_types."
    )
    R007 = (
        "Label {label!r} is unknown. Known labels: {known}. Add it with add_label() before initialisation, or "
        "remove it from the data."
    )


class Warnings(metaclass=_WithCodes):
    """Messages given through `warnings.warn`, for what is odd but can go on."""
