"""Files of spaCy's tutorial on relations: a .spacy file whose documents hold them in `doc._.rel`.

`doc._.rel` is a table by the tokens at which two entities begin, with the labels' values: `{(0, 2): {"runs": 1.0}}`.
A relation holds where the value is 0.5 or more, as in the tutorial's scorer.
"""

from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span

from ..errors import Errors
from ..relations import set_relations
from .counts import CorpusCounts
from .files import OnError, Problems
from .reader import read_docs
from .records import Format, Sample
from .tokens import get_nlp

KEY: Any = ("._.", "rel", None, None)
THRESHOLD = 0.5


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
    for number, doc in enumerate(read_docs(path, nlp.vocab), 1):
        messages: List[str] = []
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


SPACY_REL = Format("spacy-rel", "spaCy's tutorial on relations, .spacy with doc._.rel", _matches, read_spacy_rel)
