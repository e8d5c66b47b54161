"""What questions say: the task, what may be answered, the texts, and the answers of examples."""

import json
import re
import string
from typing import Dict, List, NamedTuple, Optional, Protocol, Sequence, Tuple

from ...instances import Instance
from ...labels import LabelSet
from ...prompts import Prompt
from ...prompts.matching import match_classes
from ...prompts.rendering import load_template, one_line

TEMPLATE = "remote_v1.jinja"
# Words on each side of a mention that tell it from others of the same name.
_CONTEXT = 3

#: A numbered part of a question: its number, and what is asked about.
Numbered = Tuple[int, Instance]
#: A field of the items of a list: its name, and the values that it may have; any text where there are none.
Field = Tuple[str, Tuple[str, ...]]


class Form(NamedTuple):
    """How questions are put.

    by_pair (bool): one question a pair, or text, instead of one for all of a document.
    bare (bool): the answer is a letter alone, which is for one pair.
    several (bool): whether several statements may hold for a pair.
    fields (Tuple[Tuple[str, Tuple[str, ...]], ...]): the fields of each item, where the answers are lists of items and
        no letters.
    """

    by_pair: bool = False
    bare: bool = False
    several: bool = False
    fields: Tuple[Field, ...] = ()


class Choices(NamedTuple):
    """What the letters of questions stand for.

    codes (Sequence[str]): the letters.
    statements (Sequence[str]): the statement of each.
    names (Sequence[Sequence[str]]): other words that stand for each, where an answer is nothing else.
    """

    codes: Sequence[str] = ()
    statements: Sequence[str] = ()
    names: Sequence[Sequence[str]] = ()

    def match(self, value: object) -> Optional[int]:
        """RETURNS (Optional[int]): the statement that a value names: by its letter, alone or before its statement, by
        the statement, or by other words for it. None for everything else.
        """
        text = str(value).strip() if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
        code = re.match(r"\W*(\w+)\W*(?:$|(?<=[:.)])\s)", text)
        if code and code[1] in self.codes:
            return list(self.codes).index(code[1])
        found = match_classes(text, [[statement] for statement in self.statements], self.names) if text else []
        return found[0] if len(found) == 1 else None


class Wording(Protocol):
    """The words of questions of one kind."""

    @property
    def choices(self) -> Choices:
        """RETURNS (Choices): what may be answered; none where answers are lists."""
        ...

    def system(self, form: Form) -> str:
        """RETURNS (str): the task."""
        ...

    def body(self, items: Sequence[Numbered]) -> str:
        """RETURNS (str): texts and what is asked about them, by number."""
        ...

    def answer(self, example: Instance, form: Form) -> Optional[object]:
        """RETURNS (Optional[object]): the answer of an example, as it is in the JSON object; None for none."""
        ...


def codes_of(count: int) -> List[str]:
    """RETURNS (List[str]): what stands for each of some statements: letters, or numbers where they are more."""
    letters = string.ascii_uppercase
    return list(letters[:count]) if count <= len(letters) else [str(number) for number in range(count)]


def called(text: str, mention: Tuple[int, int]) -> str:
    """RETURNS (str): a mention's name; where the text has it twice, the words around it, too."""
    start, end = mention
    name = one_line(text[start:end])
    if one_line(text).casefold().count(name.casefold()) < 2:
        return json.dumps(name, ensure_ascii=False)
    before, after = text[:start].split()[-_CONTEXT:], text[end:].split()[:_CONTEXT]
    around = " ".join([*before, f"[{name}]", *after])
    return f"{json.dumps(name, ensure_ascii=False)} in {json.dumps(around, ensure_ascii=False)}"


class PairWording:
    """Asks which relation holds between two mentions. Statements come from the component's prompt, so that they say of
    X and Y what other models are told about two mentions.

    prompt (Prompt): gives the wording of the statements, and says whether examples show their answers.
    labels (LabelSet): the labels.
    """

    def __init__(self, prompt: Prompt, labels: LabelSet) -> None:
        self.labels = labels
        plain = [answer is not None and labels.specs[answer.label].symmetric for answer in labels.classes]
        self.choices = Choices(
            codes_of(len(labels.classes)),
            [text.strip() for text in prompt.answers(Instance("X Y", (0, 1), (2, 3)), labels)],
            # A label that has no direction says all by its name.
            [[answer.label] if answer and own else [] for answer, own in zip(labels.classes, plain)],
        )
        self._macros = load_template(TEMPLATE)
        self._with_answers = getattr(prompt, "example_labels", True)

    def system(self, form: Form) -> str:
        """See `Wording.system`."""
        definitions = [self._definition(i) for i in range(len(self.choices.codes))]
        first = self.choices.codes[0]
        return str(
            self._macros.system(
                list(zip(self.choices.codes, self.choices.statements, definitions)),
                form.several,
                form.bare,
                json.dumps({"1": [first] if form.several else first}),
            )
        )

    def _definition(self, index: int) -> str:
        answer = self.labels.classes[index]
        return "" if answer is None or answer.reversed else one_line(self.labels.specs[answer.label].definition)

    def body(self, items: Sequence[Numbered]) -> str:
        """See `Wording.body`. Each text stands once, with its pairs after it."""
        texts: Dict[str, List[str]] = {}
        for number, pair in items:
            texts.setdefault(one_line(pair.text), []).append(self._pair(number, pair))
        return "".join(self._macros.text(text) + "".join(lines) + "\n" for text, lines in texts.items())

    def _pair(self, number: int, pair: Instance) -> str:
        first, second = (called(pair.text, mention) for mention in (pair.first, pair.second))
        types = one_line(pair.first_type), one_line(pair.second_type)
        return str(self._macros.pair(number, first, second, *types))

    def answer(self, example: Instance, form: Form) -> Optional[object]:
        """See `Wording.answer`."""
        if not self._with_answers or example.answers is None:
            return None
        classes = sorted({self.labels.index(own) for own in example.answers}) or [0]
        found = [self.choices.codes[index] for index in classes]
        return found if form.several else found[0]
