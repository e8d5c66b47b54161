"""Relations of a paragraph: en_core_web_sm finds the entities, rag_relation_extractor their relations. Then they are
drawn, and joined to a graph.
"""

import sys
from pathlib import Path
from typing import Any, Dict

import spacy
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spacy_ragre import graph, visual
from spacy_ragre.bundled import BUNDLED, locate

PICTURE = Path("relations.html")

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


def main() -> int:
    if locate("en_core_web_sm") is None:
        print("en_core_web_sm is missing: run 'python -m spacy ragre download all' first.", file=sys.stderr)
        return 1
    nlp = spacy.load(BUNDLED["en_core_web_sm"].module)
    nlp.add_pipe("rag_relation_extractor", config={"labels": LABELS})
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
    PICTURE.write_text(visual.render(doc, page=True, jupyter=False), encoding="utf8")
    console.print(f"\nThe picture is {PICTURE}: open it in a browser. The same as a graph:\n")
    knowledge = graph.build([doc])
    for node, name in knowledge.nodes(data="name"):
        edges = [
            (known["label"], knowledge.nodes[tail]["name"]) for _, tail, known in knowledge.out_edges(node, data=True)
        ]
        if edges:
            console.print(escape(f"  {name}: " + ", ".join(f"{label} -> {tail}" for label, tail in edges)))
    console.print(
        "\nThis is zero-shot: an encoder that comes with the package reads the words of the labels, and nothing was "
        "trained for this demo. A score is how often such an answer was right on hard texts written for development."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
