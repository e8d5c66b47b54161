"""How well entities are found: `open_entities` beside en_core_web_sm.

    python -m benchmarks.open_entities.evaluate assets
    python -m benchmarks.open_entities.evaluate assets --weights FOLDER --cautions 0 0.5 1

Texts: schemas of openrel that neither trains on here, those with spaCy's types and those with types of their own; real
sentences that are held out, each under types of its own, where those of no listed type count as none; the ordinary
paragraphs; and passages of Re-DocRED test, which are real. Entities count with their type and without
("spans"), a determiner in front left out. In Re-DocRED a type of OntoNotes counts as the wider one that the corpus has.
"""

import argparse
import collections
import random
import time
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Optional, Sequence, Set, Tuple

import spacy
from spacy.tokens import Doc

from spacy_ragre.bundled import BUNDLED
from spacy_ragre.components.entity_phrases.words import ARTICLES
from spacy_ragre.components.open_entities.component import OpenEntities
from spacy_ragre.entity_types import ONTONOTES

from .. import paragraphs
from ..results import add_row
from .data import REDOCRED, TypedTexts, of_schema, read_docred, read_openrel, read_passages
from .types import read_types

OPENREL = Path(__file__).parents[2] / "corpora_src" / "openrel"
OUTPUT = Path(__file__).parents[1] / "results" / "open_entities.json"
TITLE = "Entities of any types, no training"
PASSAGES = 400
# The type of Re-DocRED that a type of OntoNotes belongs to.
WIDER = {
    "PERSON": "PER", "ORG": "ORG", "GPE": "LOC", "LOC": "LOC", "FAC": "LOC", "DATE": "TIME", "TIME": "TIME",
    "CARDINAL": "NUM", "ORDINAL": "NUM", "MONEY": "NUM", "PERCENT": "NUM", "QUANTITY": "NUM",
}  # fmt: skip
OWN = "openrel, held out, types of their own"
SENTENCES = "real sentences, types of their own"
INVENTED = "invented passages, held out, types of their own"
SYSTEMS = {
    "open_entities": "types are read by the encoder that comes with the package",
    "en_core_web_sm": "spaCy's small English pipeline, which has the types of OntoNotes",
}
Ent = Tuple[int, int, str]
# Makes what finds the entities of texts under some types.
Make = Callable[[TypedTexts], Callable[[List[str]], List[Doc]]]


def counted(text: str, ents: Iterable[Ent]) -> Set[Ent]:
    """RETURNS (Set[Ent]): entities as they are compared: without a determiner in front."""
    out = set()
    for start, end, type_ in ents:
        words = text[start:end].split(" ")
        first = len(words[0]) + 1 if len(words) > 1 and words[0].lower() in ARTICLES else 0
        out.add((start + first, end, type_))
    return out


def scores_of(pairs: Sequence[Tuple[Set[Ent], Set[Ent]]]) -> Dict[str, float]:
    """pairs (Sequence[Tuple[Set[Ent], Set[Ent]]]): gold entities of a text, and those that were found.
    RETURNS (Dict[str, float]): precision, recall and F1, with types and without, from 0 to 1.
    """
    out = {}
    for name, key in (("ents", lambda ent: ent), ("spans", lambda ent: ent[:2])):
        counts: collections.Counter[str] = collections.Counter()
        for gold, found in pairs:
            wanted, given = set(map(key, gold)), set(map(key, found))
            counts.update(right=len(wanted & given), found=len(given), gold=len(wanted))
        precision, recall = counts["right"] / max(1, counts["found"]), counts["right"] / max(1, counts["gold"])
        f1 = 2 * precision * recall / (precision + recall) if counts["right"] else 0.0
        out.update({f"{name}_p": precision, f"{name}_r": recall, f"{name}_f": f1})
    return out


def splits(data: Path) -> Dict[str, List[TypedTexts]]:
    """RETURNS (Dict[str, List[TypedTexts]]): what is measured on."""
    held_out = read_openrel(OPENREL, held_out=True)
    own = [schema for schema in held_out if set(schema.types) != ONTONOTES]
    real = read_docred(data / "redocred" / "test_revised.json")
    real.texts[:] = random.Random(0).sample(real.texts, min(len(real.texts), PASSAGES))
    return {
        "openrel, held out, spaCy's types": [schema for schema in held_out if schema not in own],
        OWN: own,
        SENTENCES: read_types(data, held_out=True),
        INVENTED: read_passages(held_out=True),
        "ordinary paragraphs": [of_schema(schema) for schema in paragraphs.read()],
        "Re-DocRED test, passages": [real],
    }


def find(schemas: Sequence[TypedTexts], make: Make) -> List[Tuple[Set[Ent], Set[Ent]]]:
    """RETURNS (List[Tuple[Set[Ent], Set[Ent]]]): gold entities of each text, and those that a pipeline finds."""
    pairs = []
    for schema in schemas:
        docs = make(schema)([item.text for item in schema.texts])
        for item, doc in zip(schema.texts, docs):
            found = [(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents]
            if schema.source == "redocred":
                found = [
                    (start, end, WIDER.get(type_, type_ if type_ in REDOCRED else "MISC"))
                    for start, end, type_ in found
                ]
            pairs.append((counted(item.text, item.ents), counted(item.text, found)))
    return pairs


def open_finder(weights: str, caution: Optional[float]) -> Make:
    """RETURNS (Make): makes `open_entities` for the types of texts.

    weights (str): "open", or a folder.
    caution (Optional[float]): in place of that of the weights.
    """

    def make(schema: TypedTexts) -> Callable[[List[str]], List[Doc]]:
        nlp = spacy.blank("en")
        types = {name: words[0] for name, words in schema.types.items()}
        pipe = OpenEntities(nlp.vocab, types=types, weights=weights, caution=caution)
        return lambda texts: list(pipe.pipe(map(nlp.make_doc, texts)))

    return make


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", default="open")
    parser.add_argument("--cautions", type=float, nargs="*", help="in place of that of the weights; nothing is written")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    args = parser.parse_args()
    recogniser = spacy.load(BUNDLED["en_core_web_sm"].module, disable=["lemmatizer"])
    systems: List[Tuple[str, Make]] = [
        (f"open_entities {caution}" if args.cautions else "open_entities", open_finder(args.weights, caution))
        for caution in args.cautions or [None]
    ]
    if not args.cautions:
        systems.append(("en_core_web_sm", lambda _: lambda texts: list(recogniser.pipe(texts))))
    for split, schemas in splits(args.data).items():
        for name, make in systems:
            if name == "en_core_web_sm" and split in (OWN, SENTENCES, INVENTED):
                continue
            began = time.perf_counter()
            pairs = find(schemas, make)
            costs = {"seconds_a_document": (time.perf_counter() - began) / len(pairs)}
            scores = scores_of(pairs)
            print(name, split, {key: round(100 * value, 1) for key, value in scores.items()}, flush=True)
            if not args.cautions:
                row = {"name": name, "description": SYSTEMS[name], "split": f"{split} ({len(pairs)})"}
                add_row(args.output, TITLE, row, 0, scores, costs)


if __name__ == "__main__":
    main()
