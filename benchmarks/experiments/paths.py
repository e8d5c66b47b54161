"""How far two mentions are from each other in a sentence's dependency tree."""

from typing import Dict, List, Optional, Sequence

from spacy.language import Language
from spacy.tokens import Doc, Span, Token

# What a path is called by its number of edges, the first that fits; longer ones, or none at all, are the last.
BINS = {"short": 2, "middle": 3}
FAR = "long"


def path_length(head: Span, tail: Span) -> Optional[int]:
    """The number of edges between the roots of two mentions in the dependency tree.

    head (Span), tail (Span): the mentions, of one parsed document.
    RETURNS (Optional[int]): the number; None where the parser put them into two sentences.
    """
    depths: Dict[int, int] = {token.i: depth for depth, token in enumerate(_upwards(head.root))}
    for depth, token in enumerate(_upwards(tail.root)):
        if token.i in depths:
            return depth + depths[token.i]
    return None


def _upwards(token: Token) -> List[Token]:
    return [token, *token.ancestors]


def bin_of(length: Optional[int]) -> str:
    """RETURNS (str): what a path of this length is called."""
    return next((name for name, most in BINS.items() if length is not None and length <= most), FAR)


def bins_of(parser: Language, docs: Sequence[Doc]) -> List[str]:
    """The paths between the two mentions of documents.

    parser (Language): a pipeline that parses.
    docs (Sequence[Doc]): documents with two entities.
    RETURNS (List[str]): what their paths are called.
    """
    blank = (Doc(parser.vocab, [t.text for t in doc], [bool(t.whitespace_) for t in doc]) for doc in docs)
    found = []
    for doc, parsed in zip(docs, parser.pipe(blank)):
        first, second = (parsed[ent.start : ent.end] for ent in doc.ents)
        found.append(bin_of(path_length(first, second)))
    return found
