"""Questions about the pairs of a document, for a model that reads and writes text.

A question lists the statements that may hold for a pair, each with a letter, then examples, then texts with the pairs
that stand in them. The answer is a JSON object with a letter for each pair, or one letter alone. Statements come from
the component's prompt, so that they say of X and Y what other models are told about two mentions.
"""

import json
import string
from dataclasses import dataclass
from math import ceil
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ...errors import Errors
from ...instances import Instance
from ...labels import LabelSet
from ...prompts import Prompt
from ...prompts.rendering import load_template, one_line
from ...prompts.shortening import MENTION_WORDS, cut_mentions, cut_text, most_context

TEMPLATE = "remote_v1.jinja"
# Most pairs of one question: what is said of one of many is less sure, and a longer answer is lost as a whole.
_MOST_PAIRS = 40
# Most labels of one pair, where it may hold several.
_MOST_LABELS = 8
# Words on each side of a mention that tell it from others of the same name.
_CONTEXT = 3
# Bytes of a token: fewer than those of any usual tokenizer have on average, so that what is counted fits.
_TOKEN_BYTES = 3.0


class Form(NamedTuple):
    """How questions are put.

    by_pair (bool): one question a pair, instead of one for all pairs of a document.
    bare (bool): the answer is a letter alone, which is for one pair.
    several (bool): whether several statements may hold for a pair.
    """

    by_pair: bool = False
    bare: bool = False
    several: bool = False


@dataclass(frozen=True)
class Question:
    """A question about some of the pairs of a document.

    system (str): the task and the statements.
    user (str): examples, texts and pairs.
    rows (Tuple[int, ...]): the pairs, by their positions. They are numbered from 1 in the question.
    allowed (Tuple[Tuple[str, ...], ...]): the letters that each of them may be answered with.
    form (Form): how it is put.
    """

    system: str
    user: str
    rows: Tuple[int, ...]
    allowed: Tuple[Tuple[str, ...], ...]
    form: Form

    @property
    def numbers(self) -> List[str]:
        """RETURNS (List[str]): the numbers of the pairs."""
        return [str(number + 1) for number in range(len(self.rows))]

    @property
    def answer_tokens(self) -> int:
        """RETURNS (int): most tokens that an answer in the right form takes."""
        return 4 if self.form.bare else _answer_tokens(len(self.rows), self.form)

    def schema(self) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): JSON schema of the answer."""
        letters: List[Dict[str, Any]] = [{"type": "string", "enum": list(codes)} for codes in self.allowed]
        if self.form.several:
            # A bound, since small models go on and on.
            letters = [
                {"type": "array", "items": one, "maxItems": _most_labels(codes)}
                for one, codes in zip(letters, self.allowed)
            ]
        return {
            "type": "object",
            "properties": dict(zip(self.numbers, letters)),
            "required": self.numbers,
            "additionalProperties": False,
        }

    def grammar(self) -> str:
        """RETURNS (str): the answer in GBNF, the grammars of llama.cpp."""
        letters = [" | ".join(_quoted(code if self.form.bare else f'"{code}"') for code in own) for own in self.allowed]
        if self.form.bare:
            return f"root ::= {letters[0]}"
        rules = [f"v{number} ::= {own}" for number, own in zip(self.numbers, letters)]
        values = [f"v{number}" for number in self.numbers]
        if self.form.several:
            most = [_most_labels(codes) - 1 for codes in self.allowed]
            values = [f'"[" ({value} (", " {value}){{0,{more}}})? "]"' for value, more in zip(values, most)]
        items = [f"{_quoted(json.dumps(number) + ': ')} {value}" for number, value in zip(self.numbers, values)]
        return "\n".join([f'root ::= "{{" {_JOINED.join(items)} "}}"', *rules])


_JOINED = ' ", " '


def _quoted(text: str) -> str:
    """RETURNS (str): a literal of GBNF, which is written as in JSON."""
    return json.dumps(text)


def _most_labels(codes: Sequence[str]) -> int:
    """RETURNS (int): how many of the letters an answer may hold."""
    return min(len(codes), _MOST_LABELS)


def codes_of(count: int) -> List[str]:
    """RETURNS (List[str]): what stands for each of some statements: letters, or numbers where they are more."""
    letters = string.ascii_uppercase
    return list(letters[:count]) if count <= len(letters) else [str(number) for number in range(count)]


def statements(prompt: Prompt, labels: LabelSet) -> List[str]:
    """RETURNS (List[str]): what each class says of X and Y, in the words of a prompt."""
    return [text.strip() for text in prompt.answers(Instance("X Y", (0, 1), (2, 3)), labels)]


class Questions:
    """Puts the pairs of documents into questions.

    prompt (Prompt): gives the wording of the statements, and says whether examples show their answers.
    labels (LabelSet): the labels.
    form (Form): how questions are put.
    limit (int): most tokens of a question and its answer.
    name (str): the model, for messages.
    """

    def __init__(self, prompt: Prompt, labels: LabelSet, form: Form, limit: int, name: str) -> None:
        self.form = form
        self.labels = labels
        self.limit = limit
        self.name = name
        self.codes = codes_of(len(labels.classes))
        self.statements = statements(prompt, labels)
        # The length of the longest text that had to be cut.
        self.cut = 0
        self._macros = load_template(TEMPLATE)
        self._with_answers = getattr(prompt, "example_labels", True)
        self._system = self._macros.system(
            [(code, text, self._definition(i)) for i, (code, text) in enumerate(zip(self.codes, self.statements))],
            form.several,
            form.bare,
            json.dumps({"1": [self.codes[0]] if form.several else self.codes[0]}),
        )

    def _definition(self, index: int) -> str:
        answer = self.labels.classes[index]
        return "" if answer is None or answer.reversed else one_line(self.labels.specs[answer.label].definition)

    def of(
        self,
        rows: Sequence[int],
        pairs: Sequence[Instance],
        allowed: Sequence[Sequence[bool]],
        examples: Sequence[Sequence[Instance]],
    ) -> Iterator[Question]:
        """The questions about a document.

        rows (Sequence[int]): positions of its pairs.
        pairs (Sequence[Instance]): the pairs.
        allowed (Sequence[Sequence[bool]]): which classes each of them may have.
        examples (Sequence[Sequence[Instance]]): the examples for each of them, most similar first.
        YIELDS (Question): as few as fit, or one a pair. A ValueError is raised where not even a bare pair fits.
        """
        waiting = [self._fitting(pair) for pair in pairs]
        start = 0
        while start < len(waiting):
            end = start + self._most(waiting[start:])
            shown = self._shown(examples[start:end], self._length(waiting[start:end]))
            own = [tuple(code for code, may in zip(self.codes, row) if may) for row in allowed[start:end]]
            user = self._examples(shown) + self._body(waiting[start:end])
            yield Question(self._system, user.rstrip(), tuple(rows[start:end]), tuple(own), self.form)
            start = end

    def _most(self, pairs: Sequence[Instance]) -> int:
        """RETURNS (int): how many pairs, from the first one on, fit into one question."""
        most = min(len(pairs), 1 if self.form.by_pair else _MOST_PAIRS)
        return next((count for count in range(most, 1, -1) if self._length(pairs[:count]) <= self.limit), 1)

    def _length(self, pairs: Sequence[Instance]) -> int:
        """RETURNS (int): tokens of a question without examples, and of its answer."""
        return count_tokens(self._system + self._body(pairs)) + _answer_tokens(len(pairs), self.form)

    def _fitting(self, pair: Instance) -> Instance:
        """RETURNS (Instance): a pair whose text fits, cut around the mentions where it is too long."""

        def fits(shorter: Instance) -> bool:
            return self._length([shorter]) <= self.limit

        if fits(pair):
            return pair
        self.cut = max(self.cut, self._length([pair]))
        for shorter in (pair, cut_mentions(pair, MENTION_WORDS)):
            if fits(cut_text(shorter, 0)):
                return most_context(shorter, fits)
        length = self._length([cut_text(shorter, 0)])
        raise ValueError(Errors.R717.format(length=length, name=self.name, limit=self.limit))

    def _body(self, pairs: Sequence[Instance]) -> str:
        """Each text once, with its pairs after it."""
        texts: Dict[str, List[str]] = {}
        for number, pair in enumerate(pairs, start=1):
            texts.setdefault(one_line(pair.text), []).append(self._pair(number, pair))
        return "".join(self._macros.text(text) + "".join(lines) + "\n" for text, lines in texts.items())

    def _pair(self, number: int, pair: Instance) -> str:
        first, second = (_called(pair, mention) for mention in (pair.first, pair.second))
        types = one_line(pair.first_type), one_line(pair.second_type)
        return str(self._macros.pair(number, first, second, *types))

    # Examples

    def _shown(self, examples: Sequence[Sequence[Instance]], length: int) -> List[Instance]:
        """RETURNS (List[Instance]): those that fit, the nearest ones of all pairs first, each once."""
        ranked = [
            own[rank] for rank in range(max(map(len, examples), default=0)) for own in examples if rank < len(own)
        ]
        kept: List[Instance] = []
        for example in dict.fromkeys(ranked):
            length += count_tokens(self._example(example))
            if length > self.limit:
                break
            kept.append(example)
        return kept

    def _examples(self, shown: Sequence[Instance]) -> str:
        if not shown:
            return ""
        # The most similar one last, next to what is asked.
        text = "".join(self._example(example) for example in reversed(shown))
        return str(self._macros.examples()) + text + str(self._macros.ask())

    def _example(self, example: Instance) -> str:
        text = self._body([example])
        if not self._with_answers or example.answers is None:
            return text
        found = [self.codes[index] for index in sorted({self.labels.index(own) for own in example.answers}) or [0]]
        value = found[0] if self.form.bare else json.dumps({"1": found if self.form.several else found[0]})
        return text.rstrip("\n") + "\n" + str(self._macros.answer(value))


def _called(pair: Instance, mention: Tuple[int, int]) -> str:
    """RETURNS (str): a mention's name; where the text has it twice, the words around it, too."""
    start, end = mention
    name = one_line(pair.text[start:end])
    if one_line(pair.text).casefold().count(name.casefold()) < 2:
        return json.dumps(name, ensure_ascii=False)
    before, after = pair.text[:start].split()[-_CONTEXT:], pair.text[end:].split()[:_CONTEXT]
    around = " ".join([*before, f"[{name}]", *after])
    return f"{json.dumps(name, ensure_ascii=False)} in {json.dumps(around, ensure_ascii=False)}"


def count_tokens(text: str) -> int:
    """RETURNS (int): about how many tokens a text has, rather too many."""
    return ceil(len(text.encode("utf8", "replace")) / _TOKEN_BYTES)


def _answer_tokens(pairs: int, form: Form) -> int:
    return 32 + pairs * (48 if form.several else 16)


def by_document(instances: Sequence[Instance], documents: Optional[Sequence[int]]) -> List[List[int]]:
    """The pairs of each document.

    instances (Sequence[Instance]): the pairs.
    documents (Optional[Sequence[int]]): the document of each. By its name, or else its text, where None.
    RETURNS (List[List[int]]): their positions.
    """
    groups: Dict[object, List[int]] = {}
    for row, instance in enumerate(instances):
        key: object = documents[row] if documents is not None else (instance.id or instance.text)
        groups.setdefault(key, []).append(row)
    return list(groups.values())
