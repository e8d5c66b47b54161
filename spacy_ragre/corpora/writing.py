"""What the writers of formats share: documents as plain data, their tokens, their pairs, and their ids.

Whatever a format can't hold is counted in words ("scores of relations"), so that `export` can tell it.
"""

import re
from bisect import bisect_left
from collections import Counter
from typing import (
    Any,
    Callable,
    Collection,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Set,
    Tuple,
)

from spacy.tokens import Doc

from ..errors import Errors
from ..pair_weights import get_weights
from ..relations import CLUSTERS_KEY, ID_KEY, entity_spans, get_relations, has_relations
from .jsonl import EntIndex, write_ent
from .tokens import join_words

# The type of an entity without one, where a format asks for one.
NO_TYPE = "ENTITY"
NO_TOKENS = "documents without tokens"
_UNKNOWN = "marks of documents that were not annotated for relations"
_SPACES = "texts whose spaces are not kept as they are"
BREAKS = re.compile(r"[\r\n\t]")

# Which entities a relation joins, and its label; None where it is only known that there is none.
Pair = Tuple[int, int, Optional[str]]


def flat_dict(doc: Doc, spans_key: Optional[str], dropped: Counter[str], keeps: Collection[str] = ()) -> Dict[str, Any]:
    """A document for a writer: as in the interchange form, but `head` and `tail` of relations always index `ents`, and
    there are neither scores, triples nor usage.

    doc (Doc): the document.
    spans_key (Optional[str]): take the entities from `doc.spans[spans_key]` instead of `doc.ents`.
    dropped (Counter[str]): what is left out is counted here.
    keeps (Collection[str]): what the format has: "clusters" (relations then name theirs, too), "kb_id", "untyped"
        (entities without a type), "features" of relations (what INCEpTION says of them, in `features`), and "unknown"
        where it tells documents without relations from those of which nothing is known.
    RETURNS (Dict[str, Any]): the document. A ValueError is raised where a relation's mention is not among the entities.
    """
    spans = entity_spans(doc, spans_key)
    index = EntIndex(spans)
    ents = [write_ent(span) for span in spans]
    for ent in ents:
        dropped["usage of entities"] += ent.pop("usage", None) is not None
        ent.pop("usage_score", None)
        if "kb_id" not in keeps:
            dropped["ids in a knowledge base"] += ent.pop("kb_id", None) is not None
        if "untyped" not in keeps and not ent["label"]:
            dropped[f"entities without a type (written as {NO_TYPE})"] += 1
            ent["label"] = NO_TYPE
    data: Dict[str, Any] = {"text": doc.text, "ents": ents}
    if ID_KEY in doc.user_data:
        data["id"] = str(doc.user_data[ID_KEY])
    if has_relations(doc):
        data["relations"] = []
        for rel in get_relations(doc):
            relation: Dict[str, Any] = {
                "head": index.require(doc, rel.head, f"the head of {rel.label!r},"),
                "tail": index.require(doc, rel.tail, f"the tail of {rel.label!r},"),
                "label": rel.label,
            }
            evidence = dict(rel.evidence)
            if "features" in keeps and "features" in evidence:
                relation["features"] = evidence.pop("features")
            data["relations"].append(relation)
            if "clusters" in keeps:
                named = {"head_cluster": rel.head_cluster, "tail_cluster": rel.tail_cluster}
                relation.update({key: value for key, value in named.items() if value is not None})
            dropped["scores of relations"] += rel.score != 1.0
            dropped["evidence of relations"] += bool(evidence)
    elif "unknown" not in keeps:
        dropped[_UNKNOWN] += 1
    if CLUSTERS_KEY in doc.user_data and "clusters" in keeps:
        found = ([index.get(mention) for mention in cluster] for cluster in doc._.entity_clusters)
        data["clusters"] = [[i for i in cluster if i is not None] for cluster in found]
    elif CLUSTERS_KEY in doc.user_data:
        dropped["entity clusters"] += len(doc._.entity_clusters)
    tell_others(doc, dropped)
    return data


def tell_others(doc: Doc, dropped: Counter[str]) -> None:
    """Count what only the interchange format has."""
    dropped["triples"] += len(doc._.triples)
    dropped["lists of annotated labels"] += doc._.annotated_labels is not None
    dropped["weights of pairs"] += len(get_weights(doc))


def keep_entities(
    data: Dict[str, Any], keep: Callable[[Dict[str, Any]], bool], what: str, dropped: Counter[str]
) -> None:
    """Leave entities out of a document that `flat_dict` gave, with their relations.

    data (Dict[str, Any]): the document, which is changed.
    keep (Callable[[Dict[str, Any]], bool]): whether an entity stays.
    what (str): what those are that don't, in words.
    dropped (Counter[str]): where they and their relations are counted.
    """
    kept = [i for i, ent in enumerate(data["ents"]) if keep(ent)]
    if len(kept) == len(data["ents"]):
        return
    index = {old: new for new, old in enumerate(kept)}
    dropped[what] += len(data["ents"]) - len(kept)
    data["ents"] = [data["ents"][i] for i in kept]
    if "relations" in data:
        left = [item for item in data["relations"] if {item["head"], item["tail"]} <= index.keys()]
        dropped[f"relations of {what}"] += len(data["relations"]) - len(left)
        data["relations"] = [{**item, "head": index[item["head"]], "tail": index[item["tail"]]} for item in left]
    if "clusters" in data:
        data["clusters"] = [[index[i] for i in cluster if i in index] for cluster in data["clusters"]]


def leave_out_id(data: Dict[str, Any], dropped: Counter[str]) -> None:
    """Take the id of a document away, where a format has none."""
    dropped["ids of documents"] += data.pop("id", None) is not None


def tell_marks(documents: Sequence[Dict[str, Any]], dropped: Counter[str]) -> None:
    """Count what is lost in a format where a relation anywhere says that all documents were annotated for relations,
    and no relation that none was.

    documents (Sequence[Dict[str, Any]]): all documents, of `flat_dict` with "unknown".
    dropped (Counter[str]): where it is counted.
    """
    if any(data.get("relations") for data in documents):
        dropped[_UNKNOWN] += sum("relations" not in data for data in documents)
    else:
        dropped["marks of documents that hold no relations"] += sum("relations" in data for data in documents)


def one_line(text: str, what: str, format: str, without: str = "") -> str:
    """RETURNS (str): a text that a format of lines can hold. A ValueError is raised for one that is empty, begins or
    ends with a space, or has tabs or line breaks.

    text (str): the text.
    what (str): what it is: "the label".
    format (str): the format's title.
    without (str): further characters that it may not have.
    """
    if BREAKS.search(text) or text.strip() != text or not text or set(without) & set(text):
        raise ValueError(Errors.R810.format(what=what, value=text, format=format))
    return text


# Tokens


def to_words(doc: Doc, data: Dict[str, Any], dropped: Counter[str]) -> Tuple[List[str], List[Tuple[int, int]]]:
    """A document as tokens, for formats that have no text: spaCy's tokens of spaces are none of them.

    doc (Doc): the document.
    data (Dict[str, Any]): what `flat_dict` gave of it; entities of spaces alone are left out of it.
    dropped (Counter[str]): where these are counted.
    RETURNS (Tuple[List[str], List[Tuple[int, int]]]): the tokens, and of each entity the first one and the one
        after its last.
    """
    keep_entities(data, lambda ent: bool(_covered(data, ent).strip()), "entities of spaces alone", dropped)
    kept = [token for token in doc if not token.text.isspace()]
    starts = [token.idx for token in kept]
    places = [(bisect_left(starts, ent["start"]), bisect_left(starts, ent["end"])) for ent in data["ents"]]
    return [token.text.strip() for token in kept], places


def worded(
    docs: Iterable[Doc], spans_key: Optional[str], dropped: Counter[str], *, ids: bool
) -> Iterator[Tuple[Dict[str, Any], List[str], List[Tuple[int, int]]]]:
    """Documents for formats that have tokens and no text, and are read as English is written. Those without tokens are
    left out.

    docs (Iterable[Doc]): the documents.
    spans_key (Optional[str]): as in `flat_dict`.
    dropped (Counter[str]): what is left out is counted here.
    ids (bool): whether the format has ids of documents.
    YIELDS (Tuple[Dict[str, Any], List[str], List[Tuple[int, int]]]): each as `flat_dict` gives it, and what `to_words`
        gives.
    """
    for doc in docs:
        data = flat_dict(doc, spans_key, dropped, keeps=("unknown",))
        if not ids:
            leave_out_id(data, dropped)
        words, places = to_words(doc, data, dropped)
        if words:
            tell_spaces(join_words(words)[0], doc.text, dropped)
            yield data, words, places
        else:
            dropped[NO_TOKENS] += 1


def tell_spaces(written: str, text: str, dropped: Counter[str]) -> None:
    """Count a text that reads otherwise when it is read again, since the format doesn't say where spaces are."""
    dropped[_SPACES] += written != text


def _covered(data: Mapping[str, Any], ent: Mapping[str, Any]) -> str:
    return str(data["text"][ent["start"] : ent["end"]])


# Pairs


def to_pairs(data: Dict[str, Any], dropped: Counter[str], given: Optional[Tuple[int, int]] = None) -> List[Pair]:
    """The pairs of a document, for formats of one pair a record: those that hold a relation, or the only one that there
    is.

    data (Dict[str, Any]): what `flat_dict` gave.
    dropped (Counter[str]): where further relations of a pair, entities of no pair and so on are counted.
    given (Optional[Tuple[int, int]]): the pair that is asked about where no relation holds.
    RETURNS (List[Pair]): the pairs.
    """
    found: Dict[Tuple[int, int], Optional[str]] = {}
    places = [(ent["start"], ent["end"]) for ent in data["ents"]]
    for item in data.get("relations", ()):
        key = (item["head"], item["tail"])
        if places[key[0]] == places[key[1]]:
            dropped["relations of a mention with itself"] += 1
        elif key in found:
            dropped["further relations of a pair"] += 1
        else:
            found[key] = item["label"]
    count = len(places)
    if not found and (given or (count == 2 and places[0] != places[1])):
        found[given or (0, 1)] = None
    used = {i for key in found for i in key}
    dropped["documents without a pair"] += not found
    dropped["entities of no pair"] += count - len(used)
    if "relations" in data:
        dropped["pairs of which it is known that they hold nothing"] += count * (count - 1) // 2 - len(
            {tuple(sorted(key)) for key in found}
        )
    dropped["documents of several pairs (a record for each)"] += len(found) > 1
    return [(head, tail, label) for (head, tail), label in found.items()]


# Ids


def unique_names(
    docs: Iterable[Doc], spans_key: Optional[str], dropped: Counter[str], keeps: Collection[str] = ()
) -> Iterator[Tuple[str, Doc, Dict[str, Any]]]:
    """Documents for formats that need an id of each.

    docs, spans_key, dropped, keeps: as for `flat_dict`.
    YIELDS (Tuple[str, Doc, Dict[str, Any]]): the id of each document, or one made of its number, the document, and what
        `flat_dict` gives of it. A ValueError is raised for an id that stands there twice.
    """
    seen: Set[str] = set()
    for doc in docs:
        data = flat_dict(doc, spans_key, dropped, keeps)
        yield new_name(data.get("id", ""), seen), doc, data


def new_name(id_: str, seen: Set[str]) -> str:
    """The id of a document that is written, or one made of its number.

    id_ (str): its own; "" for none.
    seen (Set[str]): those of the documents before; this one is added.
    RETURNS (str): the id. A ValueError is raised for one that stands there twice.
    """
    name = id_ or f"doc{len(seen) + 1:05}"
    if name in seen:
        raise ValueError(Errors.R348.format(id=name))
    seen.add(name)
    return name
