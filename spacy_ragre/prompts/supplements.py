"""Prompts for the four tasks on dietary supplements, one language model for all (RAMIE, arXiv 2411.15700).

A question is a `Instance`: `text` is what is read; `first` is the supplement and `second` the event for relations,
both are the supplement for usage, and both are the whole text where all mentions or triples are asked for. `response`
is the answer in words, which examples have.
"""

from dataclasses import dataclass
from typing import Any, Dict, List, Literal, Protocol, Sequence, Tuple

from ..instances import Instance
from ..registry import registry
from .base import Segments
from .rendering import load_template, mark_mentions, mention_texts, one_line, split_pieces

TEMPLATE = "supplements_v1.jinja"

Task = Literal["ner", "re", "te", "uc"]
TASKS: Tuple[Task, ...] = ("ner", "re", "te", "uc")
#: Answered with a text; the others with a label.
GENERATED: Tuple[Task, ...] = ("ner", "te")

RELATIONS = ("positive", "negative", "not_related")
USAGES = ("continuing", "discontinued", "started", "uncertain")
#: The labels of the tasks that have a closed set of answers.
LABELS: Dict[Task, Tuple[str, ...]] = {"re": RELATIONS, "uc": USAGES}
#: The relations that triples state; pairs that hold none are left out.
TRIPLE_RELATIONS = RELATIONS[:2]
#: What responses call supplements and events.
KINDS = ("supplement", "event")

_PAIR = (("[", "]"), ("{", "}"))
_ONE = (("[", "]"), ("", ""))


def label_text(label: str) -> str:
    """RETURNS (str): a label in words."""
    return label.replace("_", " ")


class TaskPrompt(Protocol):
    """Words a question of one of the tasks. Holds settings only, so that it can be pickled."""

    def segments(self, task: Task, query: Instance, examples: Sequence[Instance] = ()) -> Segments:
        """The prompt of one question.

        task (str): the task.
        query (Instance): what is asked about; its response is not looked at.
        examples (Sequence[Instance]): questions of the same task with their responses, in this order.
        RETURNS (Segments): the parts of the prompt.
        """
        ...

    def answers(self, task: Task) -> List[str]:
        """RETURNS (List[str]): the texts of the task's labels, each starting with a space; of `LABELS` only."""
        ...


@registry.ragre_prompts("ragre.Supplements.v1")
def make_supplements_prompt(instruction: bool = True) -> TaskPrompt:
    """Ask about supplements in clinical text.

    instruction (bool): begin with the task in words. A model that was trained does not need it; the question alone
        tells it the task.
    RETURNS (TaskPrompt): the prompt.
    """
    return SupplementsPrompt(instruction)


@dataclass(frozen=True)
class SupplementsPrompt:
    """See `make_supplements_prompt` for the settings and `TaskPrompt` for the methods."""

    instruction: bool = True

    def segments(self, task: Task, query: Instance, examples: Sequence[Instance] = ()) -> Segments:
        """See `TaskPrompt.segments`."""
        macros = load_template(TEMPLATE)
        return Segments(
            instruction=getattr(macros, f"{task}_instruction")() if self.instruction else "",
            examples=tuple(
                split_pieces(macros.example(_text(task, item), _question(macros, task, item), one_line(item.response)))
                for item in examples
            ),
            query=split_pieces(macros.query(_text(task, query), _question(macros, task, query))),
        )

    def answers(self, task: Task) -> List[str]:
        """See `TaskPrompt.answers`."""
        return [f" {label_text(label)}" for label in LABELS[task]]


def _text(task: Task, item: Instance) -> str:
    if task in GENERATED:
        return one_line(item.text)
    return mark_mentions(item, _ONE if task == "uc" else _PAIR)


def _question(macros: Any, task: Task, item: Instance) -> str:
    if task in GENERATED:
        return str(getattr(macros, f"{task}_question")())
    supplement, event = mention_texts(item)
    return str(macros.uc_question(supplement) if task == "uc" else macros.re_question(supplement, event))
