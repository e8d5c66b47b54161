"""What is trained where the answer is "auto": the reader of open labels, or a language model with a label head.

The reader starts from weights that know how relations are worded, so that few documents go far; the language model
starts from nothing but its words. So the reader is trained, unless somebody asks for the language model by a setting
of its own, or unless labels say nothing that could be read.
"""

import re
from functools import lru_cache
from typing import TYPE_CHECKING, List

from ...labels import LabelSet
from ...llm.base import Backbone
from ...llm.causal import CausalLM, create_causal_lm
from ...prompts import Prompt, make_relation_prompt

if TYPE_CHECKING:
    from .predictor import RelationPredictor

# Letters in a row, with no digit or underscore beside them.
_LETTERS = re.compile(r"(?<![\d_])[^\W\d_]+(?![\d_])")
_VOWELS = frozenset("aeiouy")
# Labels that a line of the log names at most.
_SHOWN = 5


def is_as_default(backbone: Backbone, prompt: Prompt) -> bool:
    """Whether a component's language model and prompt are those of its default config, so that nobody asked for them.

    backbone (Backbone): the language model.
    prompt (Prompt): how a pair is put to it.
    RETURNS (bool): whether they are.
    """
    if type(backbone) is not CausalLM or prompt != make_relation_prompt():
        return False
    return backbone.settings == create_causal_lm().settings


def labels_without_words(labels: LabelSet) -> List[str]:
    """The labels that are codes, such as "P17" or "CPR:3": neither their texts nor their definition has a word.

    labels (LabelSet): the labels. One without a text of its own has its name as text.
    RETURNS (List[str]): their names.
    """
    return [name for name, spec in labels.specs.items() if not _has_word(" ".join((*spec.texts, spec.definition)))]


# Asked of all labels for each batch of documents.
@lru_cache(maxsize=1 << 12)
def _has_word(text: str) -> bool:
    """RETURNS (bool): whether there are two letters or more with a vowel among them, or letters of another alphabet
    than the Latin one, which may do with fewer.
    """
    runs = _LETTERS.findall(text.lower())
    return any(not run.isascii() or (len(run) > 1 and not _VOWELS.isdisjoint(run)) for run in runs)


def explain(name: str, predictor: "RelationPredictor") -> str:
    """RETURNS (str): what a component trains, and why, for the log.

    name (str): the component's name.
    predictor (RelationPredictor): its predictor, in which what is trained was made.
    """
    if predictor.learns == "open":
        return f"{name}: trains the reader of open labels, from the weights {predictor.open.weights!r}"
    told = f"{name}: trains the language model {predictor.backbone.name!r}"
    codes = labels_without_words(predictor.labels)
    if predictor.answer != "auto":
        why = f"the setting answer is {predictor.answer!r}"
    elif predictor.open.weights is None:
        why = "the setting weights is null"
    elif not predictor.is_plain:
        why = "model, prompt, both_orders or keys of its states are set"
    else:
        why = f"labels have no words that the reader of open labels could read: {', '.join(codes[:_SHOWN])}"
    return f"{told}, since {why}"
