"""Two ways to answer without training: the likelihood of every label's text, and free generation.

The third way, the label head, is `spacy_ragre.llm.label_model`.
"""

import warnings
from functools import partial
from typing import TYPE_CHECKING, Callable, List, Optional, Sequence, Set

from ..errors import Errors, Warnings
from ..instances import Instance
from ..labels import LabelSet
from ..prompts import Prompt
from ..prompts.shortening import MENTION_WORDS, cut_mentions, cut_text, most_context, without_definitions
from .attention.packing import batches
from .attention.tries import TokenTrie, cut_answers
from .base import Backbone, Pieces

if TYPE_CHECKING:
    import numpy as np

# A trie is cut where it has more nodes, since the tokens of a row see one another by a square mask.
_TRIE_NODES = 512


def score_texts(backbone: Backbone, prompts: Sequence[Pieces], answers: Sequence[Sequence[str]]) -> "np.ndarray":
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
    max_new_tokens (int): maximum number of tokens to generate.
    RETURNS (List[str]): the texts.
    """
    ids = [backbone.tokenize(pieces).ids for pieces in prompts]
    texts = [""] * len(ids)
    for batch in batches([len(p) + max_new_tokens for p in ids], backbone.batch_tokens):
        for i, text in zip(batch, backbone.generate([ids[i] for i in batch], max_new_tokens)):
            texts[i] = text
    return texts


def parse_texts(prompt: Prompt, instances: Sequence[Instance], texts: Sequence[str], labels: LabelSet) -> "np.ndarray":
    """Scores of the classes that texts name. Free text gives no distribution: the class that was named has all of it.
    What matches nothing is no relation.

    prompt (Prompt): matches a text to the labels.
    instances (Sequence[Instance]): the pairs.
    texts (Sequence[str]): what the model said of each.
    labels (LabelSet): the labels.
    RETURNS (numpy.ndarray): float32, *Shape* (pairs, classes).
    """
    import numpy as np

    scores = np.full((len(instances), len(labels.classes)), -1e4, dtype="float32")
    for row, (instance, text) in enumerate(zip(instances, texts)):
        scores[row, labels.index(prompt.parse(text, instance, labels).answer)] = 0.0
    return scores


def fit_examples(backbone: Backbone, build: Callable[[int], Pieces], count: int) -> Optional[Pieces]:
    """The prompt with as many examples as the model's window takes.

    backbone (Backbone): the language model.
    build (Callable[[int], Pieces]): gives the prompt's pieces for a number of examples.
    count (int): maximum number of examples.
    RETURNS (Optional[Tuple[str, Tuple[str, ...], Sequence[str]]]): the pieces; None where not even the prompt without
        examples fits.
    """
    prompts = (build(number) for number in range(count, -1, -1))
    return next((pieces for pieces in prompts if backbone.count_tokens(pieces) <= backbone.max_length), None)


class PairPrompts:
    """Puts pairs to a language model, with all that its window takes.

    What does not fit goes in this order: examples, from the least similar one on; the labels' definitions, where the
    list of labels takes more than half of the window; the text that is far from the mentions; the list of labels; the
    middle of long mentions. Each of these but the first is said once.
    """

    def __init__(self) -> None:
        self._said: Set[str] = set()

    def pieces(
        self, backbone: Backbone, prompt: Prompt, pair: Instance, labels: LabelSet, examples: Sequence[Instance] = ()
    ) -> Pieces:
        """The prompt of a pair.

        backbone (Backbone): the language model.
        prompt (Prompt): how a pair is put to it.
        pair (Instance): the pair.
        labels (LabelSet): the labels.
        examples (Sequence[Instance]): examples, most similar first; they are shown in the other order.
        RETURNS (Tuple[str, Tuple[str, ...], Sequence[str]]): instruction, document, and the pieces of the pair. Raises
            a ValueError where the window is too small for the labels or for a bare pair.
        """

        def build(pair: Instance, labels: LabelSet, listed: bool = True, shown: Sequence[Instance] = ()) -> Pieces:
            segments = prompt.segments(pair, labels, shown[::-1])
            return segments.instruction if listed else "", (segments.document,), segments.pair_pieces()

        def fits(pieces: Pieces) -> bool:
            return backbone.count_tokens(pieces) <= backbone.max_length

        def fits_with(known: LabelSet, listed: bool, pair: Instance) -> bool:
            return fits(build(pair, known, listed))

        for number in range(len(examples), -1, -1):
            whole = build(pair, labels, shown=examples[:number])
            if fits(whole):
                return whole
        brief = without_definitions(labels)
        ways = [(labels, True), (brief, True), (brief, False)]
        if 2 * backbone.count_tokens((whole[0], (), [])) > backbone.max_length:
            # The labels are why it does not fit.
            del ways[0]
        for shorter in (pair, cut_mentions(pair, MENTION_WORDS)):
            for known, listed in ways:
                if not fits_with(known, listed, cut_text(shorter, 0)):
                    continue
                self._say_labels(backbone, labels, known is brief, listed)
                kept = most_context(shorter, partial(fits_with, known, listed))
                if kept is not pair:
                    self._say_text(backbone, whole)
                return build(kept, known, listed)
        bare = build(cut_text(shorter, 0), brief, False)
        length = backbone.count_tokens(bare)
        values = {"length": length, "model": backbone.name, "limit": backbone.max_length, "count": len(labels)}
        raise ValueError(Errors.R131.format(**values))

    def _say_labels(self, backbone: Backbone, labels: LabelSet, shortened: bool, listed: bool) -> None:
        defined = any(spec.definition for spec in labels.specs.values())
        left_out = "their list is" if not listed else "their definitions are" if shortened and defined else ""
        if left_out and left_out not in self._said:
            self._said.add(left_out)
            values = {"count": len(labels), "model": backbone.name, "limit": backbone.max_length}
            warnings.warn(Warnings.W131.format(left_out=left_out, **values), stacklevel=4)

    def _say_text(self, backbone: Backbone, whole: Pieces) -> None:
        if "text" not in self._said:
            self._said.add("text")
            values = {"length": backbone.count_tokens(whole), "model": backbone.name, "limit": backbone.max_length}
            warnings.warn(Warnings.W132.format(**values), stacklevel=4)
