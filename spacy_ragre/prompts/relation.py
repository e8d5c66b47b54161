"""The suite's own prompt: short statements about two mentions, marked in the text."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ..errors import Errors
from ..instances import Answer, Instance
from ..labels import NO_RELATION, LabelSet
from ..registry import registry
from .base import ParsedAnswer, Prompt, Segments
from .matching import match_classes
from .rendering import load_template, mark_mentions, mention_texts, one_line, split_pieces, typed_markers

TEMPLATE = "relation_v1.jinja"
BRACKETS = (("[", "]"), ("{", "}"))
MARKERS = ("brackets", "typed", "typed_punct")


@registry.ragre_prompts("ragre.Relation.v1")
def make_relation_prompt(
    instruction: bool = True,
    document: bool = False,
    example_labels: bool = True,
    marked: bool = True,
    types: bool = False,
    markers: str = "brackets",
) -> Prompt:
    """Ask for a statement about the two mentions: " Microsoft was founded by Bill Gates."

    instruction (bool): begin with the task in words and the list of labels with their definitions.
    document (bool): put the plain text before the examples too, where all pairs of a document can share it. Without
        `marked`, the question then stands alone: each pair costs only its own few tokens.
    example_labels (bool): show the relations of the examples. Without them, an example is only its text.
    marked (bool): mark the mentions in the texts, as [first] and {second}.
    types (bool): name the entity types in the question: "surgeon (PERSON)".
    markers (str): how mentions are marked, where they are: "brackets"; or, with the roles and types of the mentions,
        "typed" ("<S:PERSON> Bill </S:PERSON>") or "typed_punct" ("@ * person * Bill @" and "# ^ city ^ Seattle #"),
        see `typed_markers`. The subject is the first mention: for corpora that give one, take candidates head first
        (`ragre.Proposed.v1`).
    RETURNS (Prompt): the prompt.
    """
    if markers not in MARKERS:
        raise ValueError(Errors.R376.format(value=markers, known=", ".join(MARKERS)))
    return RelationPrompt(instruction, document, example_labels, marked, types, markers)


@dataclass(frozen=True)
class RelationPrompt:
    """See `make_relation_prompt` for the settings and `Prompt` for the methods."""

    instruction: bool = True
    document: bool = False
    example_labels: bool = True
    marked: bool = True
    types: bool = False
    markers: str = "brackets"

    def segments(self, query: Instance, labels: LabelSet, examples: Sequence[Instance] = ()) -> Segments:
        """See `Prompt.segments`. An example with an unknown label raises a ValueError."""
        macros = load_template(TEMPLATE)
        text = "" if self.document and not self.marked else self._text(query)
        return Segments(
            instruction=self._instruction(labels),
            document=macros.document(one_line(query.text)) if self.document else "",
            examples=tuple(self._example(example, labels) for example in examples),
            query=split_pieces(macros.query(text, self._question(query))),
        )

    def answers(self, query: Instance, labels: LabelSet) -> List[str]:
        """See `Prompt.answers`."""
        result = [" " + self._statement(query, labels, answer) for answer in labels.classes]
        check_distinct("ragre.Relation.v1", result, labels)
        return result

    def parse(self, answer_text: str, query: Instance, labels: LabelSet) -> ParsedAnswer:
        """See `Prompt.parse`. What has no direction may name the mentions in any order, or not at all."""
        options = [[statement] for statement in self.answers(query, labels)]
        short: List[List[str]] = [[] for _ in options]
        turned = replace(query, first=query.second, second=query.first)
        for i, answer in enumerate(labels.classes):
            if answer is None:
                options[i].append(self._statement(turned, labels, None))
                short[i] = [NO_RELATION, "not related", "they are not related"]
            elif labels.specs[answer.label].symmetric:
                options[i].append(self._statement(turned, labels, answer))
                short[i] = [answer.label, labels.specs[answer.label].text]
        found = match_classes(answer_text, options, short)
        return ParsedAnswer(labels.classes[found[0]]) if len(found) == 1 else ParsedAnswer(matched=False)

    def _instruction(self, labels: LabelSet) -> str:
        if not self.instruction:
            return ""
        return _render_instruction(self.marked, tuple((spec.text, spec.definition) for spec in labels.specs.values()))

    def _text(self, pair: Instance) -> str:
        if not self.marked:
            return one_line(pair.text)
        if self.markers == "brackets":
            return mark_mentions(pair, BRACKETS)
        return mark_mentions(pair, typed_markers(pair, self.markers == "typed_punct"), inside=True)

    def _question(self, pair: Instance) -> str:
        types = (one_line(pair.first_type), one_line(pair.second_type)) if self.types else ("", "")
        return str(load_template(TEMPLATE).question(*mention_names(pair), *types))

    def _statement(self, pair: Instance, labels: LabelSet, answer: Optional[Answer]) -> str:
        macros = load_template(TEMPLATE)
        first, second = mention_names(pair)
        if answer is None:
            return str(macros.unrelated(first, second))
        words = one_line(labels.specs[answer.label].text)
        subject, object_ = (second, first) if answer.reversed else (first, second)
        return str(macros.statement(subject, words, object_))

    def _example(self, pair: Instance, labels: LabelSet) -> Tuple[str, ...]:
        # A question with no answer after it would teach the model to leave it unanswered.
        statements = ""
        if self.example_labels and pair.answers is not None:
            classes = sorted({labels.index(answer) for answer in pair.answers}) or [0]
            statements = " ".join(self._statement(pair, labels, labels.classes[i]) for i in classes)
        return split_pieces(load_template(TEMPLATE).example(self._text(pair), self._question(pair), statements))


def mention_names(pair: Instance) -> Tuple[str, str]:
    """What two mentions are called in questions and statements: their texts, told apart where they are the same.

    pair (Instance): the pair.
    RETURNS (Tuple[str, str]): the names of the first and of the second mention.
    """
    first, second = mention_texts(pair)
    if first.casefold() == second.casefold():
        return f"the first {first}", f"the second {second}"
    return first, second


def check_distinct(prompt: str, answers: Sequence[str], labels: LabelSet) -> None:
    """Raise a ValueError where two classes have the same text.

    prompt (str): the prompt's registered name.
    answers (Sequence[str]): the text of each class.
    labels (LabelSet): the labels.
    """
    if len(set(answers)) == len(answers):
        return
    classes: Dict[str, List[str]] = {}
    for text, answer in zip(answers, labels.classes):
        name = "no relation" if answer is None else repr(answer.label)
        classes.setdefault(text, []).append(name)
    text, names = next((text, names) for text, names in classes.items() if len(names) > 1)
    raise ValueError(Errors.R301.format(prompt=prompt, answer=text, labels=" and ".join(dict.fromkeys(names))))


@lru_cache(maxsize=64)
def _render_instruction(marked: bool, labels: Tuple[Tuple[str, str], ...]) -> str:
    values: List[Dict[str, Any]] = [
        {"text": one_line(text), "definition": one_line(definition)} for text, definition in labels
    ]
    return str(load_template(TEMPLATE).instruction(marked, values))
