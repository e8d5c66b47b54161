"""The model of spaCy's tutorial on relation extraction (tutorials/rel_component of explosion/projects, MIT licence).

Its own code and its config with tok2vec, from a clone; nothing of it is in this repository. Sentences are turned into
its `doc._.rel`: each ordered pair of nominals, with every relation. Changed are the steps, and the sizes of the last
layer, which are said and not inferred. A sentence's answer is the likeliest relation of both orders, where it is as
likely as the config's threshold.
"""

import argparse
import sys
from pathlib import Path
from typing import Dict, List, Mapping, Sequence, Tuple

import spacy
from spacy.tokens import Doc, DocBin, Span

from .common import OTHER, Predict, Sentence, make_parser, run

Scores = Mapping[Tuple[int, int], Mapping[str, float]]


def make_doc(nlp: spacy.language.Language, item: Sentence) -> Doc:
    """RETURNS (Doc): the sentence with both nominals as entities. One that ends inside of a token gets all of it."""
    doc = nlp.make_doc(item.text)
    spans: List[Span] = []
    for start, end in item.nominals:
        span = doc.char_span(start, end, label="NOMINAL", alignment_mode="expand")
        if span is not None and not (spans and span.start < spans[-1].end):
            spans.append(span)
    doc.ents = tuple(spans)
    return doc


def relations(doc: Doc, label: str, names: Sequence[str]) -> Dict[Tuple[int, int], Dict[str, float]]:
    """RETURNS (Dict[Tuple[int, int], Dict[str, float]]): what the tutorial keeps in `doc._.rel`: for the first tokens
    of head and tail, 1 for the relation that holds and 0 for the others.
    """
    name, _, order = label.partition("(")
    starts = [ent.start for ent in doc.ents]
    head_tail = tuple(starts if order == "e1,e2)" else starts[::-1])
    pairs = [(one, other) for one in starts for other in starts if one != other]
    return {pair: {other: float(other == name and pair == head_tail) for other in names} for pair in pairs}


def answer(scores: Scores, starts: Sequence[int], threshold: float) -> str:
    """RETURNS (str): the likeliest relation of both orders, or "Other" where none is likely enough."""
    found = [(value, name, pair) for pair, own in scores.items() for name, value in own.items() if value >= threshold]
    if not found:
        return OTHER
    _, name, pair = max(found)
    return f"{name}(e1,e2)" if pair == tuple(starts) else f"{name}(e2,e1)"


def fit(train: List[Sentence], args: argparse.Namespace) -> Predict:
    from spacy.cli.train import train as spacy_train

    # Importing it registers its component; it sets the extension, too.
    clone = args.source.resolve()
    sys.path.insert(0, str(clone))
    import scripts.custom_functions  # noqa: F401

    folder = args.output.parent / f"spacy_tutorial-{args.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    blank = spacy.blank("en")
    names = sorted({item.label.partition("(")[0] for item in train} - {OTHER})
    docs = [make_doc(blank, item) for item in train]
    for doc, item in zip(docs, train):
        doc._.rel = relations(doc, item.label, names)
    paths = {}
    for part, chosen in (("dev", docs[:: args.dev]), ("train", [d for i, d in enumerate(docs) if i % args.dev])):
        paths[f"paths.{part}"] = str(folder / f"{part}.spacy")
        DocBin(docs=chosen, store_user_data=True).to_disk(paths[f"paths.{part}"])
    # Its sizes are null, to be inferred, which configs of newer versions of spaCy don't take.
    config = spacy.util.load_config(clone / "configs" / "rel_tok2vec.cfg", interpolate=False)
    layer = "components.relation_extractor.model.classification_layer"
    width = 2 * config["components"]["tok2vec"]["model"]["width"]
    overrides = {
        **paths,
        "system.seed": args.seed,
        "training.max_steps": args.steps,
        "training.eval_frequency": min(500, args.steps),
        f"{layer}.nI": width,
        f"{layer}.nO": len(names),
    }
    spacy_train(clone / "configs" / "rel_tok2vec.cfg", folder, use_gpu=-1, overrides=overrides)
    nlp = spacy.load(folder / "model-best")
    threshold = nlp.get_pipe("relation_extractor").threshold  # type: ignore[attr-defined]

    def predict(test: Sequence[Sentence]) -> List[str]:
        inputs = [make_doc(nlp, item) for item in test]
        # Values are NumPy's float32.
        return [answer(doc._.rel, [ent.start for ent in doc.ents], threshold) for doc in nlp.pipe(inputs)]

    return predict


if __name__ == "__main__":
    parser = make_parser(__doc__)
    parser.add_argument("--source", type=Path, required=True, help="the tutorial's folder")
    parser.add_argument("--steps", type=int, default=2000, help="the tutorial's config has 10,000")
    parser.add_argument("--dev", type=int, default=10, help="one of so many training sentences chooses the best state")
    run(parser.parse_args(), fit)
