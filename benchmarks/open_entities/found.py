"""What `open_entities` finds in passages that it has not read, for the training of the reader of relations.

    python -m benchmarks.open_entities.found found.jsonl WEIGHTS corpora_src/passages/27_things_local.txt ...

adds the passages of some files to `found.jsonl`, as weights of a folder find their entities. Weights that were trained
on a passage make too few mistakes in it: take those of before.
"""

import argparse
import json
from pathlib import Path

import spacy
import srsly
from spacy.tokens import Span
from tqdm import tqdm

from spacy_ragre.components.open_entities.finder import EntityFinder
from spacy_ragre.corpora.openrel import read_schemas

from ..open_relations.passages import trains
from ..open_relations.phrases import refers
from .data import of_passage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("weights", type=Path, help="a folder with weights of open_entities")
    parser.add_argument("files", type=Path, nargs="+", help="of passages")
    args = parser.parse_args()
    finder = EntityFinder.load(args.weights / "open_entities.safetensors")
    caution = float(srsly.read_json(args.weights / "open_entities.json")["caution"])
    nlp = spacy.blank("en")
    schemas = [schema for path in args.files for schema in trains(read_schemas(path, min_wordings=1))]
    with args.output.open("a", encoding="utf8") as out:
        for typed in map(of_passage, tqdm(schemas)):
            names = list(typed.types)
            read = finder.read_types([words[0] for words in typed.types.values()])
            docs = [nlp.make_doc(item.text) for item in typed.texts]
            words = [[(token.idx, token.idx + len(token)) for token in doc] for doc in docs]
            for doc, ents in zip(docs, finder.find([doc.text for doc in docs], words, read, caution=caution)):
                spans = [Span(doc, ent.start, ent.end, names[ent.type]) for ent in ents]
                found = [(span.start_char, span.end_char, span.label_, refers(span)) for span in spans]
                out.write(json.dumps({"text": doc.text, "found": found}) + "\n")


if __name__ == "__main__":
    main()
