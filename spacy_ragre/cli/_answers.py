"""What pipelines answer to annotated documents, and what that is worth."""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from ._util import pipe_names

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc
    from spacy.training import Example

    from ..scoring.comparison import Disagreement
    from ..scoring.confusions import RelationError
    from ..scoring.curves import Ranked

# Of what one pipeline gets right and the other does not, so many places are in the JSON file.
_PLACES = 20


@dataclass
class Answers:
    """What a pipeline answers to annotated documents.

    name (str): the pipeline.
    examples (List[Example]): the documents.
    ranked (List[Example]): the same, with every relation that was scored, whether it is an answer or not.
    symmetric (Set[str]): labels whose head and tail can be exchanged.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]`.
    relations (bool): whether the pipeline looks for relations.
    scores (Dict[str, Any]): those of its components' scorers.
    """

    name: str
    examples: "List[Example]"
    ranked: "List[Example]"
    symmetric: Set[str]
    spans_key: Optional[str]
    relations: bool
    scores: Dict[str, Any]

    @cached_property
    def errors(self) -> "List[RelationError]":
        """RETURNS (List[RelationError]): what is wrong in the answers."""
        from ..scoring.confusions import find_errors

        return list(find_errors(self.examples, symmetric=self.symmetric, spans_key=self.spans_key))


def answer(
    nlp: "Language",
    name: str,
    docs: "Sequence[Doc]",
    *,
    gold_entities: bool,
    spans_key: Optional[str],
    batch_size: Optional[int],
) -> Answers:
    """Run a pipeline.

    nlp (Language): the pipeline, prepared for its task.
    name (str): what it is called.
    docs (Sequence[Doc]): annotated documents.
    gold_entities (bool): give it the annotated entities.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]`.
    batch_size (Optional[int]): documents of a batch.
    RETURNS (Answers): its answers.
    """
    from spacy.scorer import Scorer
    from spacy.training import Example

    from ..corpora.reader import copy_input

    examples = [Example(copy_input(doc, gold_ents=gold_entities), doc) for doc in docs]
    extractors: List[Any] = [pipe for _, pipe in nlp.pipeline if hasattr(pipe, "telling")]
    # With each document, so that no other one is taken for it.
    told: List[Dict[int, Tuple[Doc, Any]]] = [{} for _ in extractors]
    with ExitStack() as stack:
        for extractor, own in zip(extractors, told):
            stack.enter_context(extractor.telling(lambda doc, found, own=own: own.update({id(doc): (doc, found)})))
        start = time.perf_counter()
        # Not nlp.evaluate, which keeps what the pipeline said to itself.
        for example, doc in zip(examples, nlp.pipe([eg.predicted for eg in examples], batch_size=batch_size)):
            example.predicted = doc
        seconds = time.perf_counter() - start
    scores: Dict[str, Any] = Scorer(nlp).score(examples)
    scores["speed"] = sum(len(example.predicted) for example in examples) / seconds
    ranked = []
    for example in examples:
        doc = example.predicted.copy() if extractors else example.predicted
        for extractor, own in zip(extractors, told):
            if id(example.predicted) in own:
                extractor.set_annotations([doc], [own[id(example.predicted)][1]])
        ranked.append(Example(doc, example.reference))
    relations = bool(pipe_names(nlp, "doc._.relations"))
    return Answers(name, examples, ranked, symmetric_labels(nlp), spans_key, relations, scores)


def symmetric_labels(nlp: "Language") -> Set[str]:
    """RETURNS (Set[str]): labels whose head and tail can be exchanged, by the components that have them."""
    tables = [getattr(nlp.get_pipe(name), "label_data", None) for name in pipe_names(nlp, "doc._.relations")]
    return {
        label
        for table in tables
        if isinstance(table, Mapping)
        for label, spec in table.items()
        if isinstance(spec, Mapping) and spec.get("symmetric")
    }


def judge(answers: Answers) -> Dict[str, Any]:
    """Score what a pipeline answers.

    answers (Answers): its answers.
    RETURNS (Dict[str, Any]): `pipeline`, `documents`, `scores` and, where it looks for relations, `intervals`,
        `resampling`, `counts` by label, `confusions`, `errors` by kind, `curve` and `reliability`.
    """
    from ..scoring.confusions import KINDS, count_confusions
    from ..scoring.curves import precision_recall, reliability
    from ..scoring.relations import count_relations, sum_scores
    from ..scoring.resampling import LEVEL, RESAMPLES, SEED, counted, intervals

    result: Dict[str, Any] = {
        "pipeline": answers.name,
        "documents": len(answers.examples),
        # Those of other components, of which these documents say nothing, are left out.
        "scores": {key: value for key, value in answers.scores.items() if value is not None},
    }
    if not answers.relations:
        return {**result, "confusions": []}
    counts = count_relations(answers.examples, symmetric=answers.symmetric, spans_key=answers.spans_key)
    own = {key: value for key, value in sum_scores(counts).items() if value is not None}
    errors, ranked = answers.errors, _rank(answers, answers.ranked)
    return {
        **result,
        "scores": {**own, **result["scores"]},
        "intervals": intervals(counts),
        "resampling": {"method": "bootstrap over documents", "level": LEVEL, "resamples": RESAMPLES, "seed": SEED},
        "counts": counted(counts),
        "errors": {kind: sum(error.kind == kind for error in errors) for kind in KINDS},
        "confusions": [
            {**item._asdict(), "mistakes": [mistake._asdict() for mistake in item.mistakes]}
            for item in count_confusions(errors)
        ],
        "curve": precision_recall(ranked),
        "reliability": {
            **reliability(ranked),
            "ece_of_answers": reliability(_rank(answers, answers.examples))["ece"],
        },
    }


def _rank(answers: Answers, examples: "Sequence[Example]") -> "Ranked":
    from ..scoring.curves import rank

    return rank(examples, symmetric=answers.symmetric, spans_key=answers.spans_key)


def compare(answers: Answers, others: Answers) -> Dict[str, Any]:
    """Compare two pipelines on the same documents.

    answers (Answers): of the first pipeline.
    others (Answers): of the second.
    RETURNS (Dict[str, Any]): what `judge` says of the second, with `differences` (the first less the second), `test`,
        and `better` and `worse`: the pairs that only the first, or only the second, answers rightly: their number as
        `pairs`, and some as `places`.
    """
    from ..scoring.relations import count_relations
    from ..scoring.resampling import EXCHANGES, PER_LABEL, SEED, differences

    symmetric = answers.symmetric | others.symmetric
    counts = [count_relations(own.examples, symmetric=symmetric, spans_key=own.spans_key) for own in (answers, others)]
    found = differences(*counts)
    labels = found.pop(PER_LABEL)
    pairs = disagreements_of(answers, others)
    places = {better: [_place(item) for item in pairs if item.better is better] for better in (True, False)}
    return {
        **judge(others),
        "differences": {
            **{name: item._asdict() for name, item in found.items()},
            PER_LABEL: {label: item._asdict() for label, item in labels.items()},
        },
        "test": {
            "method": "approximate randomisation over documents, two-sided",
            "exchanges": EXCHANGES,
            "seed": SEED,
            "labels": "p-values corrected by Holm's method",
        },
        "better": {"pairs": len(places[True]), "places": places[True][:_PLACES]},
        "worse": {"pairs": len(places[False]), "places": places[False][:_PLACES]},
    }


def disagreements_of(answers: Answers, others: Answers) -> "List[Disagreement]":
    """RETURNS (List[Disagreement]): the pairs that one of two pipelines answers rightly and the other does not."""
    from ..scoring.comparison import find_disagreements

    symmetric = answers.symmetric | others.symmetric
    return list(find_disagreements(answers.examples, others.examples, symmetric=symmetric, spans_key=answers.spans_key))


def _place(item: "Disagreement") -> Dict[str, Any]:
    from ..scoring.confusions import mistake

    return {"gold": item.gold, "wrong": item.wrong, **mistake(item.doc, item.relation)._asdict()}
