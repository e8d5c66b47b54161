"""Ordinary paragraphs with labels of their own, without training: what a user gets who names labels.

    python -m benchmarks.paragraphs
    python -m benchmarks.paragraphs --test

The paragraphs are those of `corpora_src/paragraphs`. They are development data: settings may be chosen on them. With
`--test` they are those of `corpora_src/paragraphs_test`, on which nothing is chosen. All
settings of the component but labels and answer are its defaults, and labels are measured with and without the entity
types of head and tail. Rows with gold entities are given the annotated ones. Rows with entities of a pipeline run it on
the plain text, en_core_web_sm or what `--pipeline` names, by itself and with `entity_phrases` behind it. Rows with
`open_entities` have it find the types that labels name, or those of OntoNotes where they name none. For all of these,
the recall of the relations whose names were both found is told, too.

A relation counts between names, not mentions: mentions of a paragraph with one text are one entity, and a symmetric
relation has one direction. Texts are compared in lower case, without a determiner or a title in front ("the Reds" is
"Reds", "Professor Ann Lee" is "Ann Lee") and without a full stop behind.
An entity that a pipeline finds is a gold one where the two overlap and their texts are equal so. A relation of any
other entity is wrong, and gold relations of entities that were not found are missed.
"""

import argparse
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, FrozenSet, List, NamedTuple, Sequence, Set, Tuple

import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span

from spacy_ragre.bundled import BUNDLED, locate
from spacy_ragre.components.entity_phrases.words import ARTICLES, COURTESY, OFFICES
from spacy_ragre.corpora.openrel import SourceSchema, SourceText, component_labels, read_schema, source_files
from spacy_ragre.corpora.tokens import split_at
from spacy_ragre.errors import Errors
from spacy_ragre.relations import Relation

from .results import add_row

NAME = "rag_relation_extractor"
PIPELINE = "en_core_web_sm"
PARAGRAPHS = Path(__file__).parents[1] / "corpora_src" / "paragraphs"
TEST = PARAGRAPHS.with_name("paragraphs_test")
OUTPUT = Path(__file__).parent / "results" / "paragraphs.json"
TITLE = "Ordinary paragraphs, labels of one's own, no training"
ANSWERS = {
    "open": "labels are read by the encoder that comes with the package",
    "clusters": "labels are read so, of the pairs of a whole document that `entity_clusterer` has grouped",
    "trie": "likelihood of each label's words, by the language model as it was published",
}
ENTITIES = {
    "gold": "gold entities",
    "own": "entities of {pipeline}",
    "phrases": "entities of {pipeline} and entity_phrases",
    "open": "entities of open_entities",
}
# In front of a name.
LEFT_OUT = ARTICLES | COURTESY | OFFICES

# Head, label and tail; a name that is no gold entity's is marked as such.
Name = Tuple[str, bool]
Fact = Tuple[Name, str, Name]


class Counts(NamedTuple):
    """Of relations: how many were right, predicted and gold. Of gold names: how many were found, and are there. Of gold
    relations: of how many both names were found.
    """

    right: int
    predicted: int
    gold: int
    found: int
    names: int
    reached: int


def read(folder: Path = PARAGRAPHS) -> List[SourceSchema]:
    """RETURNS (List[SourceSchema]): the subjects with their paragraphs."""
    return [read_schema(path, min_wordings=1) for path in source_files(folder)]


def subset(schemas: Sequence[SourceSchema], limit: int) -> List[SourceSchema]:
    """RETURNS (List[SourceSchema]): the schemas with a seeded subset of `limit` of their texts, or with all for 0."""
    places = [(i, j) for i, schema in enumerate(schemas) for j in range(len(schema.texts))]
    if not 0 < limit < len(places):
        return list(schemas)
    kept = set(random.Random(0).sample(places, limit))
    chosen = [
        replace(schema, texts=[text for j, text in enumerate(schema.texts) if (i, j) in kept])
        for i, schema in enumerate(schemas)
    ]
    return [schema for schema in chosen if schema.texts]


def make_pipeline(
    labels: Dict[str, Any], answer: str, entities: str, pipeline: str = PIPELINE, **settings: Any
) -> Language:
    """RETURNS (Language): the component, after what finds sentences and, unless they are gold, entities.

    pipeline (str): what finds them: an embedded pipeline, or one that `spacy.load` knows.
    labels, answer: settings of the component, as are `settings`; others are its defaults. "clusters" is the answer
        "open" behind `entity_clusterer`, which needs a parse.
    """
    clusters = answer == "clusters"
    if entities in ("gold", "open") and not clusters:
        nlp = spacy.blank("en")
        nlp.add_pipe("sentencizer")
    elif pipeline in BUNDLED and locate(pipeline) is None:
        raise ValueError(Errors.R102.format(name=pipeline, package=BUNDLED[pipeline].package))
    else:
        name = BUNDLED[pipeline].module if pipeline in BUNDLED else pipeline
        nlp = spacy.load(name, exclude=["ner"] if entities in ("gold", "open") else [])
    if entities == "phrases":
        nlp.add_pipe("entity_phrases")
    if entities == "open":
        types = sorted({type_ for label in labels.values() for type_ in asked_types(label)})
        nlp.add_pipe("open_entities", config={"types": types} if types else {})
    if clusters:
        nlp.add_pipe("entity_clusterer")
        settings["candidates"] = {"@ragre_candidates": "ragre.WholeDocument.v1"}
    nlp.add_pipe(NAME, config={"labels": labels, "answer": "open" if clusters else answer, **settings})
    return nlp


def asked_types(label: Dict[str, Any]) -> List[str]:
    """RETURNS (List[str]): the entity types that a label names."""
    return [*(label.get("head_types") or ()), *(label.get("tail_types") or ())]


def with_gold(nlp: Language, text: SourceText) -> Doc:
    """RETURNS (Doc): a document with the annotated entities; tokens are cut where one begins or ends."""
    doc = nlp.make_doc(text.text)
    doc.set_ents(gold_spans(doc, text))
    return doc


def gold_spans(doc: Doc, text: SourceText, types: bool = True) -> List[Span]:
    """RETURNS (List[Span]): the annotated entities in a document of the text, whose tokens are cut where one begins or
    ends; without their types where these are not told.
    """
    split_at(doc, [offset for ent in text.ents for offset in (ent.start, ent.end)])
    spans = (doc.char_span(ent.start, ent.end, label=ent.type if types else "") for ent in text.ents)
    return [span for span in spans if span is not None]


def plain(text: str) -> str:
    """RETURNS (str): a name as names are compared: lower case, without a determiner or title in front and a full stop
    behind.
    """
    words = text.lower().split()
    while len(words) > 1 and words[0] in LEFT_OUT:
        words = words[1:]
    return " ".join(words).rstrip(".")


def name_of(start: int, end: int, text: SourceText) -> Name:
    """RETURNS (Name): the compared text of a mention, and whether it is a gold entity.

    start, end (int): characters of the mention.
    text (SourceText): the paragraph.
    """
    name = plain(text.text[start:end])
    known = (ent for ent in text.ents if ent.start < end and start < ent.end)
    return name, any(plain(text.text[ent.start : ent.end]) == name for ent in known)


def make_fact(head: Name, label: str, tail: Name, symmetric: FrozenSet[str]) -> Fact:
    """RETURNS (Fact): a relation between names, a symmetric one with the smaller name in front."""
    return (tail, label, head) if label in symmetric and tail < head else (head, label, tail)


def gold_facts(text: SourceText, symmetric: FrozenSet[str]) -> Set[Fact]:
    """RETURNS (Set[Fact]): what a paragraph states."""
    names = [name_of(ent.start, ent.end, text) for ent in text.ents]
    return {make_fact(names[head], label, names[tail], symmetric) for head, label, tail in text.relations}


def predicted_fact(relation: Relation, text: SourceText, symmetric: FrozenSet[str]) -> Fact:
    """RETURNS (Fact): a relation that was found in a paragraph."""
    head, tail = (name_of(span.start_char, span.end_char, text) for span in (relation.head, relation.tail))
    return make_fact(head, relation.label, tail, symmetric)


def count(doc: Doc, text: SourceText, symmetric: FrozenSet[str]) -> Counts:
    """RETURNS (Counts): what is right in a document.

    doc (Doc): has entities and relations.
    text (SourceText): the gold paragraph.
    symmetric (FrozenSet[str]): labels that hold in both directions.
    """
    gold_names = {name_of(ent.start, ent.end, text) for ent in text.ents}
    gold = gold_facts(text, symmetric)
    predicted = {predicted_fact(relation, text, symmetric) for relation in doc._.relations}
    found = {name_of(ent.start_char, ent.end_char, text) for ent in doc.ents} & gold_names
    reached = sum(head in found and tail in found for head, _, tail in gold)
    return Counts(len(gold & predicted), len(predicted), len(gold), len(found), len(gold_names), reached)


def scores_of(counts: Sequence[Counts]) -> Dict[str, float]:
    """RETURNS (Dict[str, float]): micro precision, recall and F1 of relations, their recall where both names were
    found, and recall of names, from 0 to 1.
    """
    right, predicted, gold, found, names, reached = (sum(column) for column in zip(*counts))
    precision, recall = right / max(1, predicted), right / max(1, gold)
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return {
        "relations_p": precision,
        "relations_r": recall,
        "relations_f": f1,
        "relations_reached_r": right / max(1, reached),
        "entities_r": found / max(1, names),
    }


def measure(
    schemas: Sequence[SourceSchema], answer: str, types: bool, entities: str, pipeline: str = PIPELINE
) -> Tuple[Dict[str, float], Dict[str, float]]:
    """RETURNS (Tuple[Dict[str, float], Dict[str, float]]): scores, and what depends on the machine."""
    counts: List[Counts] = []
    seconds = 0.0
    for schema in schemas:
        nlp = make_pipeline(component_labels(schema, types=types), answer, entities, pipeline)
        symmetric = frozenset(label.name for label in schema.labels.values() if label.symmetric)
        docs = [with_gold(nlp, text) if entities == "gold" else nlp.make_doc(text.text) for text in schema.texts]
        started = time.perf_counter()
        docs = list(nlp.pipe(docs))
        seconds += time.perf_counter() - started
        counts += [count(doc, text, symmetric) for doc, text in zip(docs, schema.texts)]
    return scores_of(counts), {"seconds_a_document": seconds / max(1, len(counts))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", nargs="+", choices=ANSWERS, default=list(ANSWERS))
    parser.add_argument("--entities", nargs="+", choices=ENTITIES, default=list(ENTITIES))
    parser.add_argument("--pipeline", default=PIPELINE, help="what finds entities; its name stands in the rows")
    parser.add_argument("--test", action="store_true", help="those on which nothing is chosen")
    parser.add_argument("--limit", type=int, default=0, help="measure a seeded subset of this size")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    args = parser.parse_args()
    schemas = subset(read(TEST if args.test else PARAGRAPHS), args.limit)
    total = sum(len(schema.texts) for schema in schemas)
    kind = f"{'test ' if args.test else ''}paragraphs{', seeded subset' if args.limit else ''}"
    for entities in args.entities:
        found_by = ENTITIES[entities].format(pipeline=Path(args.pipeline).name)
        for answer in args.answers:
            for types in (True, False):
                scores, costs = measure(schemas, answer, types, entities, args.pipeline)
                row = {
                    "name": f"{answer}, {'with' if types else 'without'} entity types",
                    "description": ANSWERS[answer],
                    "split": f"{kind} ({total}), {found_by}",
                }
                add_row(args.output, TITLE, row, 0, scores, costs)
                shown = {key: round(value, 3) for key, value in {**scores, **costs}.items()}
                print(row["name"], row["split"], shown, flush=True)


if __name__ == "__main__":
    main()
