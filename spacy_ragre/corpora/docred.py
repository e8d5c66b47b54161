"""DocRED and Re-DocRED: relations between the entities of a whole document, in their official JSON.

Yao et al. 2019, https://aclanthology.org/P19-1074; Tan et al. 2022, https://aclanthology.org/2022.emnlp-main.580. The
file is one JSON list. A document has `title`, `sents` (lists of tokens), `vertexSet` (for each entity its mentions,
with `sent_id`, `pos`, `type` and `name`) and, where they are known, `labels` with `h`, `t`, `r` and `evidence`.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple, Union

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import filter_spans
from spacy.vocab import Vocab

from ..errors import Errors
from ..relations import (
    CLUSTERS_KEY,
    ID_KEY,
    Relation,
    cluster_entities,
    entity_spans,
    get_relations,
    has_relations,
    set_relations,
)
from .files import OnError, Problems, decode, existing_path, write_json
from .parse import unfit_values
from .tokens import english_spaces, get_nlp, sentences
from .writing import new_name, tell_others, tell_spaces

# The names of the mentions as the file has them, for each cluster: the official Ign F1 compares these.
NAMES_KEY = "ragre.mention_names"
RELATION_NAMES = "rel_info.json"

Names = Union[str, Path, Mapping[str, str], None]


class _Mention(NamedTuple):
    start: int
    end: int
    type: str
    name: str


class _Record(NamedTuple):
    title: str
    sents: List[List[str]]
    clusters: List[List[_Mention]]
    relations: Optional[List[Dict[str, Any]]]


# Reading


def read_docred(
    path: Union[str, Path],
    nlp: Union[Language, Vocab, None] = None,
    *,
    spans_key: Optional[str] = None,
    relation_names: Names = None,
    on_error: Optional[OnError] = None,
) -> Iterator[Doc]:
    """Read a file of DocRED or Re-DocRED, with the tokens and sentences that it gives.

    All mentions are in `doc._.entity_clusters`, in the order of `vertexSet`. Those that don't overlap are in
    `doc.ents`, too; of two that overlap, the longer one. Relations name their clusters; the sentences of their evidence
    are in `evidence["sentences"]`. The title is in `doc.user_data[ID_KEY]`. Documents without `labels` have no gold
    relations.

    Problems of the file are gathered and raised at its end; from the first of them on, no more documents come.

    path (Union[str, Path]): the file.
    nlp (Union[Language, Vocab, None]): its Vocab is used.
    spans_key (Optional[str]): keep all mentions in `doc.spans[spans_key]`, where they may overlap, instead of in
        `doc.ents`.
    relation_names (Union[str, Path, Mapping[str, str], None]): relation ids with their names, or a JSON file that has
        them; labels are then the names. If None, `rel_info.json` next to the file; without one, labels are the ids.
    on_error (Optional[OnError]): is given the place of a document that can't be read ("document 3"), the document as
        JSON and what is wrong with it; those after it are read all the same. Errors are raised where None.
    YIELDS (Doc): the documents.
    """
    path = existing_path(path)
    vocab = get_nlp(nlp).vocab
    names = find_relation_names(relation_names, path.parent)
    problems = Problems(path, on_error)
    titles: Dict[str, int] = {}
    for number, data in enumerate(_load_list(path), 1):
        messages = list(unfit_values(data, f"document {number}"))
        record = None if messages else _parse(data, number, names, messages)
        if record is not None and record.title in titles:
            messages.append(Errors.R433.format(title=record.title, first=titles[record.title], number=number))
        elif record is not None:
            titles[record.title] = number
        if messages:
            # Halves of surrogate pairs stay escapes.
            whole = json.dumps(data, ensure_ascii=False).encode("utf-8", "backslashreplace").decode("utf-8")
            problems.add(f"document {number}", *messages, record=whole)
        elif record is not None and not problems:
            yield _make_doc(vocab, record, spans_key)
    problems.raise_any()


def find_relation_names(names: Names, folder: Path) -> Optional[Dict[str, str]]:
    """names (Union[str, Path, Mapping[str, str], None]): relation ids with their names, or a file that has them.
    folder (Path): where `rel_info.json` is looked for if None.
    RETURNS (Optional[Dict[str, str]]): names by id, all different; None where there are none.
    """
    if names is None:
        path = folder / RELATION_NAMES
        if not path.is_file():
            return None
    elif isinstance(names, Mapping):
        return _check_names(dict(names), "relation_names")
    else:
        path = existing_path(names)
    return _check_names(_load_json(path), path)


def _check_names(data: Any, path: Union[str, Path]) -> Dict[str, str]:
    if not isinstance(data, dict) or not all(isinstance(name, str) and name.strip() for name in data.values()):
        raise ValueError(Errors.R434.format(path=path, problem="it is not a JSON object of ids with their names"))
    ids: Dict[str, str] = {}
    for id_, name in data.items():
        if name in ids:
            raise ValueError(Errors.R434.format(path=path, problem=f"{ids[name]} and {id_} are both named {name!r}"))
        ids[name] = id_
    return data


def _load_json(path: Path) -> Any:
    text = decode(path.read_bytes(), path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as err:
        raise ValueError(Errors.R430.format(path=path, problem=err)) from err


def _load_list(path: Path) -> List[Any]:
    if not path.read_bytes().removeprefix(b"\xef\xbb\xbf").strip():
        return []
    data = _load_json(path)
    if not isinstance(data, list):
        raise ValueError(Errors.R430.format(path=path, problem="it is not a list of documents"))
    return data


class _Fields:
    """Reads the keys of a JSON object and tells what is missing or of the wrong kind, with the document's title."""

    def __init__(self, title: str, messages: List[str]) -> None:
        self.title = title
        self.messages = messages

    def tell(self, what: str, key: str, problem: str) -> None:
        self.messages.append(Errors.R431.format(title=self.title, key=f"{what}{key}", problem=problem))

    def get(self, data: Any, key: str, kind: Any, what: str = "", default: Any = None) -> Any:
        """RETURNS (Any): the value; the default, which None says is required, where it is not there or wrong."""
        if not isinstance(data, dict):
            self.tell(what.rstrip("."), "", "it is not a JSON object")
            return None
        if key not in data:
            if default is None:
                self.tell(what, key, "it is missing")
            return default
        value = data[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            self.tell(what, key, f"it is {value!r}, which is no {kind.__name__}")
            return default
        return value


def _parse(data: Any, number: int, names: Optional[Dict[str, str]], messages: List[str]) -> Optional[_Record]:
    """A document of the file, or None where it is not whole; `messages` then says why."""
    title = data.get("title") if isinstance(data, dict) else None
    fields = _Fields(title if isinstance(title, str) else f"number {number}", messages)
    title = fields.get(data, "title", str)
    if not isinstance(data, dict):
        return None
    sents = fields.get(data, "sents", list) or []
    for i, sent in enumerate(sents):
        if not isinstance(sent, list) or not all(isinstance(word, str) for word in sent):
            fields.tell("", f"sents[{i}]", "it is not a list of tokens")
            return None
    clusters = [
        _parse_cluster(cluster, f"vertexSet[{i}]", sents, fields)
        for i, cluster in enumerate(fields.get(data, "vertexSet", list) or [])
    ]
    relations = None
    if "labels" in data:
        labels = fields.get(data, "labels", list) or []
        parsed = [_parse_label(label, f"labels[{i}].", len(clusters), names, fields) for i, label in enumerate(labels)]
        relations = [relation for relation in parsed if relation is not None]
    return None if messages else _Record(title, sents, clusters, relations)


def _parse_cluster(cluster: Any, what: str, sents: Sequence[Sequence[str]], fields: _Fields) -> List[_Mention]:
    if not isinstance(cluster, list) or not cluster:
        fields.tell(what, "", "it is not a list of at least one mention")
        return []
    starts = _starts(sents)
    mentions = []
    for j, mention in enumerate(cluster):
        where = f"{what}[{j}]."
        sent_id = fields.get(mention, "sent_id", int, where)
        pos = fields.get(mention, "pos", list, where)
        type_ = fields.get(mention, "type", str, where)
        if sent_id is None or pos is None or type_ is None:
            continue
        if not 0 <= sent_id < len(sents):
            fields.tell(where, "sent_id", f"it is {sent_id}, but the document has {len(sents)} sentence(s)")
            continue
        sent = sents[sent_id]
        whole = len(pos) == 2 and all(isinstance(p, int) for p in pos)
        if not whole or not 0 <= pos[0] < pos[1] <= len(sent) or not any(sent[pos[0] : pos[1]]):
            problem = f"it is {pos!r}, but sentence {sent_id} has {len(sent)} tokens (start, end exclusive)"
            fields.tell(where, "pos", problem)
            continue
        name = fields.get(mention, "name", str, where, default=" ".join(sent[pos[0] : pos[1]]))
        mentions.append(_Mention(starts[sent_id] + pos[0], starts[sent_id] + pos[1], type_, name))
    return mentions


def _parse_label(
    label: Any, what: str, count: int, names: Optional[Dict[str, str]], fields: _Fields
) -> Optional[Dict[str, Any]]:
    relation: Dict[str, Any] = {}
    for role, key in (("head_cluster", "h"), ("tail_cluster", "t")):
        index = fields.get(label, key, int, what)
        if index is not None and not 0 <= index < count:
            fields.tell(what, key, f"it is {index}, but the document has {count} entities")
        relation[role] = index
    if not isinstance(label, dict):
        return None
    id_ = fields.get(label, "r", str, what)
    if id_ == "":
        fields.tell(what, "r", "it is empty")
    elif id_ is not None and names is not None and id_ not in names:
        fields.messages.append(Errors.R432.format(title=fields.title, id=id_, known=", ".join(names)))
    relation["label"] = id_ if names is None or id_ is None else names.get(id_, id_)
    sentences = fields.get(label, "evidence", list, what, default=[])
    relation["evidence"] = {"sentences": [int(i) for i in sentences if isinstance(i, int)]}
    return relation


def _starts(sents: Sequence[Sequence[str]]) -> List[int]:
    """Index of each sentence's first token, before empty tokens are left out."""
    starts = [0]
    for sent in sents:
        starts.append(starts[-1] + len(sent))
    return starts


def _make_doc(vocab: Vocab, record: _Record, spans_key: Optional[str]) -> Doc:
    words: List[str] = []
    spaces: List[bool] = []
    sent_starts: List[Union[bool, int, None]] = []
    places = [0]  # of each token of the file, its index in the document: spaCy has no empty tokens
    for sent in record.sents:
        kept = [word for word in sent if word]
        words.extend(kept)
        spaces.extend(english_spaces(kept))
        sent_starts.extend(i == 0 for i in range(len(kept)))
        for word in sent:
            places.append(places[-1] + bool(word))
    if spaces:
        spaces[-1] = False
    doc = Doc(vocab, words=words, spaces=spaces, sent_starts=sent_starts)
    doc.user_data[ID_KEY] = record.title
    doc.user_data[NAMES_KEY] = [[mention.name for mention in cluster] for cluster in record.clusters]
    clusters: List[List[Span]] = []
    for cluster in record.clusters:
        unique = {(places[m.start], places[m.end]): m.type for m in cluster}
        clusters.append([Span(doc, *offsets, label=unique[offsets]) for offsets in sorted(unique)])
    spans = sorted((span for cluster in clusters for span in cluster), key=lambda span: (span.start, -span.end))
    if spans_key is not None:
        doc.spans[spans_key] = spans
    else:
        doc.ents = tuple(filter_spans(spans))
    doc._.entity_clusters = clusters
    if record.relations is not None:
        relations = [
            {**relation, "head": clusters[relation["head_cluster"]][0], "tail": clusters[relation["tail_cluster"]][0]}
            for relation in record.relations
        ]
        set_relations(doc, relations)
    return doc


# Writing


def write_docred(
    docs: Iterable[Doc],
    path: Union[str, Path],
    *,
    spans_key: Optional[str] = None,
    relation_names: Names = None,
) -> int:
    """Write the relations of documents in the format that DocRED's scorer and leaderboard take: a list of `title`,
    `h_idx`, `t_idx`, `r` and, where it is known, `evidence`. The file appears under its name only when it is whole.

    `h_idx` and `t_idx` are indexes into `doc._.entity_clusters`: they are those of the gold file where the clusters
    are the gold ones.

    docs (Iterable[Doc]): the documents, with their titles in `doc.user_data[ID_KEY]`.
    path (Union[str, Path]): the file to write.
    spans_key (Optional[str]): take the entities from `doc.spans[spans_key]` instead of `doc.ents`.
    relation_names (Union[str, Path, Mapping[str, str], None]): relation ids with their names, or a JSON file that has
        them. If None, `rel_info.json` in the folder of the written file; without one, labels must be ids.
    RETURNS (int): how many documents were read.
    """
    names = find_relation_names(relation_names, Path(path).parent)
    ids = None if names is None else {name: id_ for id_, name in names.items()}
    answers: List[Dict[str, Any]] = []
    titles = set()
    for doc in docs:
        title = str(doc.user_data.get(ID_KEY, ""))
        if not title or title in titles:
            problem = f"title {title!r} occurs twice" if title else f"the document {doc.text[:50]!r} has no title"
            raise ValueError(Errors.R422.format(problem=problem, key=ID_KEY))
        titles.add(title)
        answers.extend(_answers(doc, title, spans_key, ids))
    write_json(path, answers)
    return len(titles)


def _answers(
    doc: Doc, title: str, spans_key: Optional[str], ids: Optional[Mapping[str, str]]
) -> Iterator[Dict[str, Any]]:
    owner: Dict[Tuple[int, int], int] = {}
    for i, cluster in enumerate(cluster_entities(doc, entity_spans(doc, spans_key))):
        for mention in cluster:
            owner.setdefault((mention.start, mention.end), i)
    seen = set()
    relation: Relation
    for relation in get_relations(doc):
        places = []
        for which, span, index in (
            ("head", relation.head, relation.head_cluster),
            ("tail", relation.tail, relation.tail_cluster),
        ):
            found = owner.get((span.start, span.end)) if index is None else index
            if found is None:
                what = f"the {which} of {relation.label!r},"
                raise ValueError(
                    Errors.R413.format(
                        id=title,
                        what=what,
                        text=span.text,
                        start=span.start,
                        end=span.end,
                        kind="entity clusters",
                        attr="doc._.entity_clusters",
                    )
                )
            places.append(found)
        key = (*places, relation.label)
        if key in seen:
            continue
        seen.add(key)
        answer: Dict[str, Any] = {"title": title, "h_idx": places[0], "t_idx": places[1]}
        answer["r"] = _relation_id(relation.label, title, ids)
        if "sentences" in relation.evidence:
            answer["evidence"] = list(relation.evidence["sentences"])
        yield answer


def _relation_id(label: str, title: str, ids: Optional[Mapping[str, str]]) -> str:
    if ids is None:
        if not (label.startswith("P") and label[1:].isdigit()):
            raise ValueError(Errors.R435.format(label=label, title=title, file=RELATION_NAMES))
        return label
    if label in ids:
        return ids[label]
    if label in ids.values():
        return label
    raise ValueError(Errors.R436.format(label=label, title=title, known=", ".join(ids)))


def write_docred_documents(
    docs: Iterable[Doc],
    path: Union[str, Path],
    *,
    spans_key: Optional[str] = None,
    relation_names: Names = None,
    dropped: Counter[str],
    **settings: Any,
) -> int:
    """Write documents as DocRED publishes its own, which `read_docred` reads: tokens, mentions by entity, relations.
    The file appears under its name only when it is whole.

    docs (Iterable[Doc]): the documents.
    path (Union[str, Path]): the file to write.
    spans_key (Optional[str]): take the entities from `doc.spans[spans_key]` instead of `doc.ents`.
    dropped (Counter[str]): what the format can't hold is counted here.
    relation_names (Union[str, Path, Mapping[str, str], None]): as for `write_docred`; without any, labels of all names
        are written as they are.
    RETURNS (int): how many documents were written.
    """
    names = find_relation_names(relation_names, Path(path).parent)
    ids = None if names is None else {name: id_ for id_, name in names.items()}
    seen: Set[str] = set()
    return write_json(path, [_document(doc, spans_key, ids, seen, dropped) for doc in docs])


def _document(
    doc: Doc, spans_key: Optional[str], ids: Optional[Mapping[str, str]], seen: Set[str], dropped: Counter[str]
) -> Dict[str, Any]:
    title = new_name(str(doc.user_data.get(ID_KEY, "")), seen)
    sents = sentences(doc)
    place = {token.i: (i, j) for i, sent in enumerate(sents) for j, token in enumerate(sent)}
    words = [[token.text for token in sent] for sent in sents]
    spaced = [pair for sent in words for pair in zip(sent, english_spaces(sent))]
    written = "".join(word + " " * space for word, space in spaced[:-1]) + "".join(word for word, _ in spaced[-1:])
    tell_spaces(written, doc.text, dropped)
    tell_others(doc, dropped)
    ents = entity_spans(doc, spans_key)
    dropped["ids in a knowledge base"] += sum(bool(span.kb_id_) for span in ents)
    dropped["usage of entities"] += sum(bool(span._.usage) for span in ents)
    clusters: List[List[Span]] = list(doc._.entity_clusters) if CLUSTERS_KEY in doc.user_data else []
    known = {(span.start, span.end) for cluster in clusters for span in cluster}
    clusters += [[span] for span in ents if (span.start, span.end) not in known]
    index: Dict[int, int] = {}
    owner: Dict[Tuple[int, int], int] = {}
    vertices: List[List[Dict[str, Any]]] = []
    for number, cluster in enumerate(clusters):
        vertex = []
        for span in cluster:
            places = [place[token.i] for token in span]
            if places[0][0] != places[-1][0]:
                dropped["mentions that reach over the end of a sentence"] += 1
                continue
            sent, first = places[0]
            vertex.append({"sent_id": sent, "pos": [first, places[-1][1] + 1], "type": span.label_})
            vertex[-1]["name"] = " ".join(words[sent][first : places[-1][1] + 1])
            owner.setdefault((span.start, span.end), number)
        if vertex:
            index[number] = len(vertices)
            vertices.append(vertex)
    document: Dict[str, Any] = {"title": title, "sents": words, "vertexSet": vertices}
    if has_relations(doc):
        document["labels"] = list(_labels(doc, index, owner, ids, title, dropped))
    return document


def _labels(
    doc: Doc,
    index: Mapping[int, int],
    owner: Mapping[Tuple[int, int], int],
    ids: Optional[Mapping[str, str]],
    title: str,
    dropped: Counter[str],
) -> Iterator[Dict[str, Any]]:
    relation: Relation
    for relation in get_relations(doc):
        ends = [
            owner.get((span.start, span.end), -1) if own is None else own
            for span, own in ((relation.head, relation.head_cluster), (relation.tail, relation.tail_cluster))
        ]
        if not set(ends) <= index.keys():
            dropped["relations of mentions that are left out"] += 1
            continue
        evidence = dict(relation.evidence)
        sentences = list(evidence.pop("sentences", ()))
        dropped["evidence of relations but for sentences"] += bool(evidence)
        dropped["scores of relations"] += relation.score != 1.0
        label = relation.label if ids is None else _relation_id(relation.label, title, ids)
        yield {"h": index[ends[0]], "t": index[ends[1]], "r": label, "evidence": sentences}
