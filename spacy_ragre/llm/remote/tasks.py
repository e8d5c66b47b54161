"""The tasks on dietary supplements, put to a model that reads and writes text.

Relations and usage are answered with letters. Mentions and triples are lists, of which every item must have its fields,
and names that stand in the text: what has not is dropped, and counted.
"""

import json
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from ...instances import Instance
from ...prompts.rendering import load_template, one_line
from ...prompts.responses import Aligner, Parsed, read_entities, read_triples
from ...prompts.supplements import GENERATED, KINDS, LABELS, TRIPLE_RELATIONS, Task, TaskPrompt
from .answers import Tally, values_of
from .questions import Question
from .replies import Reply
from .wording import TEMPLATE as SHARED
from .wording import Choices, Field, Form, Numbered, called, codes_of

TEMPLATE = "remote_supplements_v1.jinja"
# The fields of a mention and of a triple, in the order in which `Parsed` has them.
FIELDS: Dict[Task, Tuple[Field, ...]] = {
    "ner": (("text", ()), ("kind", KINDS)),
    "te": (("supplement", ()), ("relation", TRIPLE_RELATIONS), ("event", ())),
}


class AskedTask(NamedTuple):
    """Questions of a task.

    task (str): the task.
    prompt (TaskPrompt): gives the words of the labels.
    questions (Sequence[Instance]): what is asked about; see `spacy_ragre.prompts.supplements`.
    examples (Sequence[Sequence[Instance]]): examples for each of them, most similar first.
    documents (Optional[Sequence[int]]): the document of each; told by names or texts where None.
    """

    task: Task
    prompt: TaskPrompt
    questions: Sequence[Instance]
    examples: Sequence[Sequence[Instance]]
    documents: Optional[Sequence[int]] = None


class TaskWording:
    """Asks the questions of a task; see `Wording`.

    task (str): the task.
    prompt (TaskPrompt): gives the words of the labels.
    """

    def __init__(self, task: Task, prompt: TaskPrompt) -> None:
        self.task = task
        self.choices = Choices()
        if task not in GENERATED:
            words = [text.strip() for text in prompt.answers(task)]
            self.choices = Choices(codes_of(len(words)), words, [[label] for label in LABELS[task]])
        self._macros = load_template(TEMPLATE)
        self._shared = load_template(SHARED)

    def system(self, form: Form) -> str:
        """See `Wording.system`."""
        rows = list(zip(LABELS.get(self.task, ()), self.choices.codes, self.choices.statements))
        example: object = self.choices.codes[0] if rows else self._items([["…"] * len(form.fields)])
        shown = json.dumps({"1": example}, ensure_ascii=False)
        return str(self._macros.system(self.task, rows, form.bare, shown))

    def body(self, items: Sequence[Numbered]) -> str:
        """See `Wording.body`."""
        if self.task in GENERATED:
            return "".join(f"{self._macros.text(number, one_line(item.text))}\n" for number, item in items)
        texts: Dict[str, List[str]] = {}
        for number, item in items:
            supplement, event = (called(item.text, mention) for mention in (item.first, item.second))
            line = self._macros.item(number, supplement, event if self.task == "re" else "")
            texts.setdefault(one_line(item.text), []).append(line)
        return "".join(self._shared.text(text) + "".join(lines) + "\n" for text, lines in texts.items())

    def answer(self, example: Instance, form: Form) -> Optional[object]:
        """See `Wording.answer`."""
        if self.task in GENERATED:
            read = read_entities(example.response, KINDS) if self.task == "ner" else None
            return self._items((read or read_triples(example.response, TRIPLE_RELATIONS)).items)
        if not example.answers:
            return None
        return self.choices.codes[LABELS[self.task].index(example.answers[0].label)]

    def _items(self, rows: Sequence[Sequence[str]]) -> List[Dict[str, str]]:
        return [dict(zip((name for name, _ in FIELDS[self.task]), row)) for row in rows]


def form_of(task: Task, by_pair: bool, bare: bool) -> Form:
    """RETURNS (Form): how the questions of a task are put."""
    return Form(by_pair, bare and task not in GENERATED, False, FIELDS.get(task, ()))


def read_lists(question: Question, reply: Reply, texts: Sequence[str]) -> Tuple[List[Parsed], Tally]:
    """The lists of an answer.

    question (Question): what was asked.
    reply (Reply): the answer.
    texts (Sequence[str]): the text that each of its parts asked about.
    RETURNS (Tuple[List[Parsed], Tally]): for each text the items whose names stand in it, with the number of those that
        were dropped; and what was wrong, counted by items. An Unreadable is raised for an answer in another form.
    """
    values = values_of(question, reply)
    tally = Tally(other=len(values.keys() - set(question.numbers)))
    found: List[Parsed] = []
    for number, text in zip(question.numbers, texts):
        tally.missing += number not in values
        rows = [_row(item, question.form.fields) for item in values.get(number, ())]
        aligner = Aligner(text)
        kept = [row for row in rows if row is not None]
        stated = [row for row in kept if _stands(row, question.form.fields, aligner)]
        tally.total += len(rows)
        tally.unknown += len(rows) - len(kept)
        tally.invented += len(kept) - len(stated)
        found.append(Parsed(list(stated), len(rows) - len(stated)))
    return found, tally


def _row(item: object, fields: Sequence[Field]) -> Optional[Tuple[str, ...]]:
    """RETURNS (Optional[Tuple[str, ...]]): the fields of an item; None where one is missing, or has a value that it
    can't have.
    """
    row = []
    for name, allowed in fields:
        value = item.get(name) if isinstance(item, dict) else None
        text = one_line(value) if isinstance(value, str) else ""
        known = {option.casefold(): option for option in allowed}
        text = known.get(text.casefold(), "") if allowed else text
        if not text:
            return None
        row.append(text)
    return tuple(row)


def _stands(row: Sequence[str], fields: Sequence[Field], aligner: Aligner) -> bool:
    return all(allowed or aligner.places(text) for text, (_, allowed) in zip(row, fields))
