"""Relations of a paragraph: en_core_web_sm finds the entities, rag_relation_extractor their relations."""

import sys
from typing import Any, Dict, List, Tuple

import spacy
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from spacy.language import Language
from spacy.tokens import Doc

from spacy_ragre.bundled import BUNDLED, locate

TEXT = (
    "Marie Curie was born in Warsaw. She moved to Paris and married Pierre Curie. Their daughter Irene worked at the "
    "Radium Institute. Apple was founded by Steve Jobs. Amazon is based in Seattle. Jeff Bezos visited London."
)

LABELS: Dict[str, Any] = {
    "founded_by": {"text": "was founded by", "head_types": ["ORG"], "tail_types": ["PERSON"]},
    "based_in": {"text": "is based in", "head_types": ["ORG"], "tail_types": ["GPE", "LOC"]},
    "born_in": {"text": "was born in", "head_types": ["PERSON"], "tail_types": ["GPE", "LOC"]},
    "works_for": {"text": "works for", "head_types": ["PERSON"], "tail_types": ["ORG"]},
    "married_to": {"text": "is married to", "symmetric": True, "head_types": ["PERSON"], "tail_types": ["PERSON"]},
}

# Each with the texts and types of its entities, and its relations as indexes into them.
Example = Tuple[str, List[Tuple[str, str]], List[Tuple[int, str, int]]]
EXAMPLES: List[Example] = [
    ("IKEA was founded by Ingvar Kamprad.", [("IKEA", "ORG"), ("Ingvar Kamprad", "PERSON")], [(0, "founded_by", 1)]),
    (
        "Henry Ford founded the Ford Motor Company.",
        [("Henry Ford", "PERSON"), ("the Ford Motor Company", "ORG")],
        [(1, "founded_by", 0)],
    ),
    ("Siemens is based in Munich.", [("Siemens", "ORG"), ("Munich", "GPE")], [(0, "based_in", 1)]),
    ("Toyota has its head office in Japan.", [("Toyota", "ORG"), ("Japan", "GPE")], [(0, "based_in", 1)]),
    ("Frida Kahlo was born in Mexico City.", [("Frida Kahlo", "PERSON"), ("Mexico City", "GPE")], [(0, "born_in", 1)]),
    ("Nikola Tesla moved to New York.", [("Nikola Tesla", "PERSON"), ("New York", "GPE")], []),
    ("Ada Lovelace visited London twice.", [("Ada Lovelace", "PERSON"), ("London", "GPE")], []),
    ("Satya Nadella runs Microsoft.", [("Satya Nadella", "PERSON"), ("Microsoft", "ORG")], [(0, "works_for", 1)]),
    (
        "Grace Hopper worked at Remington Rand.",
        [("Grace Hopper", "PERSON"), ("Remington Rand", "ORG")],
        [(0, "works_for", 1)],
    ),
    (
        "Johnny Cash married June Carter.",
        [("Johnny Cash", "PERSON"), ("June Carter", "PERSON")],
        [(0, "married_to", 1)],
    ),
    (
        "Niels Bohr met Albert Einstein in Berlin.",
        [("Niels Bohr", "PERSON"), ("Albert Einstein", "PERSON"), ("Berlin", "GPE")],
        [],
    ),
    ("Google was founded by Larry Page.", [("Google", "ORG"), ("Larry Page", "PERSON")], [(0, "founded_by", 1)]),
]


def main() -> int:
    if locate("en_core_web_sm") is None:
        print("en_core_web_sm is missing: run 'python -m spacy ragre download all' first.", file=sys.stderr)
        return 1
    nlp = spacy.load(BUNDLED["en_core_web_sm"].module)
    nlp.add_pipe("rag_relation_extractor", config={"labels": LABELS, "n_examples": 2})
    examples = [make_example(nlp, *example) for example in EXAMPLES]
    nlp.get_pipe("rag_relation_extractor").add_examples(examples)  # type: ignore[attr-defined]
    doc = nlp(TEXT)
    console = Console(highlight=False)
    console.print(escape(doc.text), "\n")
    table = Table(title="Relations")
    for name in ("head", "relation", "tail"):
        table.add_column(name)
    table.add_column("score", justify="right")
    for rel in doc._.relations:
        table.add_row(escape(rel.head.text), rel.label, escape(rel.tail.text), f"{rel.score:.2f}")
    console.print(table)
    console.print(
        f"\nThis is few-shot: a small language model was shown the most similar of {len(EXAMPLES)} examples that were "
        "written for this demo, and nothing was trained. Expect mistakes; a trained pipeline makes far fewer."
    )
    return 0


def make_example(nlp: Language, text: str, ents: List[Tuple[str, str]], relations: List[Tuple[int, str, int]]) -> Doc:
    """RETURNS (Doc): the text with its entities and relations."""
    doc = nlp.make_doc(text)
    starts = [(text.index(name), len(name), label) for name, label in ents]
    spans = [doc.char_span(start, start + length, label=label) for start, length, label in starts]
    doc.ents = [span for span in spans if span is not None]
    doc._.relations = [{"head": spans[head], "label": label, "tail": spans[tail]} for head, label, tail in relations]
    return doc


if __name__ == "__main__":
    sys.exit(main())
