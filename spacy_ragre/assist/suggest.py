"""Which texts to annotate next, with what a pipeline finds in them.

Sources: uncertainty sampling by the margin (Scheffer et al. 2001), groups of like texts (Zhdanov 2019, arXiv
1901.05954).
"""

from typing import TYPE_CHECKING, Iterable, List, Literal, NamedTuple, Optional, Sequence

from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import minibatch

from ..errors import Errors
from ..instances import Instance
from ..relations import get_relations

if TYPE_CHECKING:
    import numpy as np

    from ..retrieval import Encoder

Order = Literal["uncertain", "confident", "diverse"]
# A document is as doubtful as so many of its pairs, the most doubtful ones. All of them would favour short documents,
# and one alone long ones.
_PAIRS = 3


class Suggestion(NamedTuple):
    """A document that was read.

    doc (Doc): the document, with what the pipeline found.
    doubt (float): how near other answers are, from 0 to 1; -1 where there is no pair to ask about, or nothing is known.
    """

    doc: Doc
    doubt: float


def read_docs(
    nlp: Language, docs: Iterable[Doc], *, name: str, order: Order, batch_size: Optional[int] = None
) -> List[Suggestion]:
    """Run a pipeline on documents, and measure how sure it is.

    nlp (Language): the pipeline.
    docs (Iterable[Doc]): the documents.
    name (str): what the pipeline is called, for errors.
    order (Literal["uncertain", "confident", "diverse"]): what it is for. Any pipeline will do for "diverse"; a
        ValueError is raised where it can't say how sure it is, and that is asked for.
    batch_size (Optional[int]): documents of a batch; the pipeline's own where None.
    RETURNS (List[Suggestion]): the documents, in their order.
    """
    from ..components.relations.extractor import RelationExtractor

    size = batch_size or nlp.batch_size
    finders = [(i, pipe) for i, (_, pipe) in enumerate(nlp.pipeline) if isinstance(pipe, RelationExtractor)]
    if not finders:
        if order != "diverse":
            raise ValueError(Errors.R672.format(name=name, order=order, components=", ".join(nlp.pipe_names) or "none"))
        return [Suggestion(doc, -1.0) for doc in nlp.pipe(docs, batch_size=size)]
    place, extractor = finders[-1]
    later = [component for _, component in nlp.pipeline[place + 1 :]]
    result: List[Suggestion] = []
    with nlp.select_pipes(disable=nlp.pipe_names[place:]):
        for batch in minibatch(nlp.pipe(docs, batch_size=size), size):
            found, doubts = extractor.predict_with_doubt(batch)
            extractor.set_annotations(batch, found)
            for component in later:
                batch = [component(doc) for doc in batch]
            result.extend(Suggestion(doc, doubt_of(own)) for doc, own in zip(batch, doubts))
    return result


def doubt_of(pairs: Sequence[float]) -> float:
    """RETURNS (float): the doubt about a document with these doubts about its pairs; -1 where there is no pair."""
    most = sorted(pairs, reverse=True)[:_PAIRS]
    return sum(most) / len(most) if most else -1.0


def put_in_order(items: Sequence[Suggestion], order: Order, encoder: "Optional[Encoder]" = None) -> List[Suggestion]:
    """Put documents in an order for annotation. A text that was there before comes last, whatever the order.

    items (Sequence[Suggestion]): the documents.
    order (Literal["uncertain", "confident", "diverse"]): "uncertain" for those that the pipeline is least sure of,
        "confident" for those that an annotator only has to accept, "diverse" for one of each group of like texts in
        turn, the largest groups first, and of each the most doubtful text.
    encoder (Optional[Encoder]): encodes the texts for "diverse"; the default text encoder where None.
    RETURNS (List[Suggestion]): all of them.
    """
    seen = set()
    first: List[int] = []
    again: List[int] = []
    for number, item in enumerate(items):
        text = " ".join(item.doc.text.split())
        (again if text in seen else first).append(number)
        seen.add(text)
    if order == "uncertain":
        first.sort(key=lambda i: -items[i].doubt)
    elif order == "confident":
        first.sort(key=lambda i: (not get_relations(items[i].doc), items[i].doubt < 0, items[i].doubt))
    else:
        first = _in_turn(items, first, _keys(items, first, encoder))
    return [items[i] for i in [*first, *again]]


def _keys(items: Sequence[Suggestion], numbers: Sequence[int], encoder: "Optional[Encoder]") -> "np.ndarray":
    from ..retrieval import TextEncoder

    texts = [Instance(items[i].doc.text, (0, 0), (0, 0)) for i in numbers]
    return (encoder or TextEncoder()).encode_queries(texts)


def _in_turn(items: Sequence[Suggestion], numbers: Sequence[int], keys: "np.ndarray") -> List[int]:
    """RETURNS (List[int]): the numbers: one of each group in turn, the largest group first."""
    import faiss

    if len(numbers) < 3:
        return list(numbers)
    count = round(len(numbers) ** 0.5)
    clusters = faiss.Kmeans(keys.shape[1], count, niter=10, seed=0, spherical=True, min_points_per_centroid=1)
    clusters.train(keys)
    groups: List[List[int]] = [[] for _ in range(count)]
    for number, group in zip(numbers, clusters.index.search(keys, 1)[1][:, 0].tolist()):
        groups[group].append(number)
    for group in groups:
        group.sort(key=lambda i: -items[i].doubt)
    groups.sort(key=len, reverse=True)
    return [group[turn] for turn in range(len(groups[0])) for group in groups if turn < len(group)]
