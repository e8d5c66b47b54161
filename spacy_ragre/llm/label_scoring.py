"""Two ways to answer without training: the likelihood of every label's text, and free generation.

The third way, the label head, is `spacy_ragre.llm.label_model`.
"""

from typing import Any, Callable, List, Sequence

from ..errors import Errors
from .attention.packing import batches
from .attention.tries import TokenTrie, cut_answers
from .base import Backbone, Pieces

# A trie is cut where it has more nodes, since the tokens of a row see one another by a square mask.
_TRIE_NODES = 512


def score_texts(backbone: Backbone, prompts: Sequence[Pieces], answers: Sequence[Sequence[str]]) -> Any:
    """Log-likelihood of every answer's text after its prompt, on a token trie of the answers.

    backbone (Backbone): the language model.
    prompts (Sequence[Tuple[str, Tuple[str, ...], Sequence[str]]]): the pieces of every prompt.
    answers (Sequence[Sequence[str]]): for every prompt the texts of its classes, as many for each.
    RETURNS (numpy.ndarray): float32, *Shape* (prompts, classes).
    """
    import numpy as np

    ids = [backbone.tokenize(pieces) for pieces in prompts]
    totals = np.zeros((len(ids), len(answers[0]) if answers else 0), dtype="float32")
    places, tries = [], []
    for i, texts in enumerate(answers):
        options = backbone.encode_answers(texts)
        for part in cut_answers(options, _TRIE_NODES):
            places.append((i, part))
            tries.append(TokenTrie.build([options[k] for k in part]))
    for chunk in backbone.pack([ids[i] for i, _ in places], extra=lambda index: len(tries[index])):
        for index, found in zip(chunk.indexes, backbone.likelihoods(chunk, [tries[i] for i in chunk.indexes])):
            row, part = places[index]
            totals[row, part] = found.totals
        chunk.release()
    return totals


def generate_texts(backbone: Backbone, prompts: Sequence[Pieces], max_new_tokens: int = 30) -> List[str]:
    """Let the model go on freely after every prompt, as RAG4RE does (arXiv 2404.13397).

    backbone (Backbone): the language model.
    prompts (Sequence[Tuple[str, Tuple[str, ...], Sequence[str]]]): the pieces of every prompt.
    max_new_tokens (int): most tokens to generate.
    RETURNS (List[str]): the texts.
    """
    ids = [backbone.tokenize(pieces).ids for pieces in prompts]
    texts = [""] * len(ids)
    for batch in batches([len(p) + max_new_tokens for p in ids], backbone.batch_tokens):
        for i, text in zip(batch, backbone.generate([ids[i] for i in batch], max_new_tokens)):
            texts[i] = text
    return texts


def fit_examples(backbone: Backbone, build: Callable[[int], Pieces], count: int) -> Pieces:
    """The prompt with as many examples as the model's window takes.

    backbone (Backbone): the language model.
    build (Callable[[int], Pieces]): gives the prompt's pieces for a number of examples.
    count (int): most examples.
    RETURNS (Tuple[str, Tuple[str, ...], Sequence[str]]): the pieces. Raises a ValueError where not even the prompt
        without examples fits.
    """
    for number in range(count, -1, -1):
        pieces = build(number)
        length = backbone.count_tokens(pieces)
        if length <= backbone.max_length:
            return pieces
    raise ValueError(Errors.R109.format(length=length, model=backbone.name, limit=backbone.max_length))
