"""Files of spaCy's tutorial on relations: a .spacy file whose documents hold them in `doc._.rel`.

`doc._.rel` is a table by the tokens at which two entities begin, with the labels' values: `{(0, 2): {"runs": 1.0}}`.
A relation holds where the value is 0.5 or more, as in the tutorial's scorer.
"""

from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple, Union

from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from spacy.util import filter_spans

from ..errors import Errors
from ..files import atomic_write
from ..pair_weights import get_weights
from ..relations import ID_KEY, entity_spans, get_relations, has_relations, set_relations
from .counts import CorpusCounts
from .files import OnError, Problems
from .reader import copy_input, read_docs
from .records import Format, Sample
from .tokens import get_nlp

KEY: Any = ("._.", "rel", None, None)
THRESHOLD = 0.5
_OVERLAPPING = "entities that overlap longer ones"


def read_spacy_rel(
    path: Path,
    nlp: Language,
    *,
    spans_key: Optional[str] = None,
    on_error: Optional[OnError] = None,
    counts: Optional[CorpusCounts] = None,
    **settings: Any,
) -> Iterator[Doc]:
    """Read the documents of a file, with their tokens and entities.

    path (Path): the file.
    nlp (Language): its Vocab is used.
    spans_key (Optional[str]): keep the entities in `doc.spans[spans_key]`, too.
    on_error (Optional[OnError]): is given what can't be read; errors are raised where None.
    counts (Optional[CorpusCounts]): where relations of a value below 0.5 are counted.
    YIELDS (Doc): the documents.
    """
    problems = Problems(path, on_error)
    counts = CorpusCounts() if counts is None else counts
    places: Dict[str, str] = {}
    for number, doc in enumerate(read_docs(path, nlp.vocab), 1):
        messages: List[str] = []
        id_ = doc.user_data.get(ID_KEY)
        if id_ is not None and places.setdefault(str(id_), f"document {number}") != f"document {number}":
            messages.append(Errors.R337.format(id=id_, place=places[str(id_)]))
        rel = doc.user_data.pop(KEY, None)
        relations = None if rel is None else _relations(doc, rel, messages, counts)
        if messages:
            problems.add(f"document {number}", *messages, record=doc.text)
        elif not problems:
            if relations is not None:
                set_relations(doc, relations)
            if spans_key is not None:
                doc.spans[spans_key] = doc.ents
            yield doc
    problems.raise_any()


def _relations(doc: Doc, rel: Any, messages: List[str], counts: CorpusCounts) -> List[Dict[str, Any]]:
    starts: Dict[Any, Span] = {ent.start: ent for ent in doc.ents}
    found: List[Dict[str, Any]] = []
    for pair, values in rel.items() if isinstance(rel, dict) else [(rel, None)]:
        if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(values, dict):
            messages.append(Errors.R347.format(problem=f"{pair!r} with {values!r} is no pair of tokens with labels"))
            continue
        for label, value in values.items():
            if not isinstance(value, (int, float)) or not 0 <= value <= 1:
                messages.append(Errors.R347.format(problem=f"{pair} has the value {value!r} for {label!r}"))
            elif value < THRESHOLD:
                counts.dropped[f"relations with a value below {THRESHOLD}"] += value > 0
            elif not set(pair) <= starts.keys():
                messages.append(Errors.R347.format(problem=f"{label!r} holds of {pair}, where no entity begins"))
            else:
                head, tail = (starts[token] for token in pair)
                found.append({"head": head, "tail": tail, "label": label, "score": float(value)})
    return found


def _matches(sample: Sample) -> bool:
    if not sample.binary:
        return False
    try:
        docs = DocBin().from_disk(sample.path).get_docs(get_nlp().vocab)
        return any(KEY in doc.user_data for doc in docs)
    except (ValueError, KeyError, TypeError):  # a file of something else, or one that is not whole
        return False


def write_spacy_rel(
    docs: Iterable[Doc],
    path: Union[str, Path],
    *,
    spans_key: Optional[str] = None,
    dropped: Counter[str],
    **settings: Any,
) -> int:
    """Write documents as the tutorial's training has them: each pair of entities has its labels, or none. The file
    appears under its name only when it is whole.

    docs (Iterable[Doc]): the documents.
    path (Union[str, Path]): the file to write.
    spans_key (Optional[str]): take the entities from `doc.spans[spans_key]` instead of `doc.ents`.
    dropped (Counter[str]): what the format can't hold is counted here.
    RETURNS (int): how many documents were written.
    """
    doc_bin = DocBin(store_user_data=True)
    for doc in docs:
        doc_bin.add(_written(doc, spans_key, dropped))
    with atomic_write(path) as file_:
        file_.write(doc_bin.to_bytes())
    return len(doc_bin)


def _written(doc: Doc, spans_key: Optional[str], dropped: Counter[str]) -> Doc:
    spans = entity_spans(doc, spans_key)
    kept = filter_spans(spans)
    result = copy_input(doc)
    result.ents = tuple(Span(result, ent.start, ent.end, label=ent.label, kb_id=ent.kb_id) for ent in kept)
    dropped[_OVERLAPPING] += len(spans) - len(kept)
    dropped["usage of entities"] += sum(bool(span._.usage) for span in spans)
    dropped["triples"] += len(doc._.triples)
    dropped["weights of pairs"] += len(get_weights(doc))
    if not has_relations(doc):
        return result
    starts = [ent.start for ent in kept]
    places = {(ent.start, ent.end) for ent in kept}
    rel: Dict[Tuple[int, int], Dict[str, float]] = {(a, b): {} for a in starts for b in starts if a != b}
    for relation in get_relations(doc):
        head, tail = relation.head, relation.tail
        if not {(head.start, head.end), (tail.start, tail.end)} <= places or head.start == tail.start:
            dropped[f"relations of {_OVERLAPPING}"] += 1
            continue
        dropped[f"scores of relations below {THRESHOLD} (written as {THRESHOLD})"] += relation.score < THRESHOLD
        dropped["evidence of relations"] += bool(relation.evidence)
        rel[head.start, tail.start][relation.label] = max(THRESHOLD, min(1.0, relation.score))
    result.user_data[KEY] = rel
    return result


SPACY_REL = Format(
    "spacy-rel", "spaCy's tutorial on relations, .spacy with doc._.rel", _matches, read_spacy_rel, write_spacy_rel
)
