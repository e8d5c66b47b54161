"""Tokens of corpora: which tokenizer reads them, and tokens cut where an entity begins or ends."""

from typing import Iterable, List, Optional, Union

import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.vocab import Vocab


def get_nlp(nlp: Union[Language, Vocab, None] = None) -> Language:
    """RETURNS (Language): the pipeline whose tokenizer reads a corpus. For None or a Vocab, blank English."""
    if isinstance(nlp, Language):
        return nlp
    return spacy.blank("en", vocab=True if nlp is None else nlp)


def split_at(doc: Doc, offsets: Iterable[int]) -> int:
    """Cut tokens in place, so that tokens begin or end at all the given offsets. The text stays as it is.

    doc (Doc): the document.
    offsets (Iterable[int]): character offsets. Those at a token's boundary, or in the space after it, cut nothing.
    RETURNS (int): how many tokens were cut.
    """
    cuts = sorted(set(offsets))
    count = 0
    with doc.retokenize() as retokenizer:
        for token in doc:
            inside = [cut - token.idx for cut in cuts if token.idx < cut < token.idx + len(token)]
            if inside:
                count += 1
                bounds: List[Optional[int]] = [0, *inside, None]
                orths = [token.text[start:end] for start, end in zip(bounds, bounds[1:])]
                # Each part is its own head: there is no parse yet, and the retokenizer asks for heads.
                retokenizer.split(token, orths, heads=[(token, i) for i in range(len(orths))])
    return count
