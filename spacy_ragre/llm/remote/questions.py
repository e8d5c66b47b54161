"""Questions about the pairs of a document, for a model that reads and writes text.

A question lists what may be answered, such as the statements that may hold for a pair, each with a letter, then
examples, then texts with the pairs that stand in them. The answer is a JSON object with a letter for each pair, or a
list for each text, or one letter alone. `Wording` gives the words.
"""

import json
from dataclasses import dataclass
from math import ceil
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ...errors import Errors
from ...instances import Instance
from ...prompts.rendering import load_template
from ...prompts.shortening import MENTION_WORDS, cut_mentions, cut_text, most_context
from .wording import TEMPLATE, Field, Form, Wording

# Most pairs of one question: what is said of one of many is less sure, and a longer answer is lost as a whole.
_MOST_PAIRS = 40
# Most labels of one pair, where it may hold several.
_MOST_LABELS = 8
# Most items of one list, and the tokens of each.
_MOST_ITEMS = 16
_ITEM_TOKENS = 28
# Bytes of a token: fewer than those of any usual tokenizer have on average, so that what is counted fits.
_TOKEN_BYTES = 3.0


class Draw(NamedTuple):
    """One of several answers to the same question.

    temperature (float): of the sampling.
    seed (int): of the sampling, where the server takes one; and what tells it from other answers that are kept.
    """

    temperature: float
    seed: int


@dataclass(frozen=True)
class Question:
    """A question about some of the pairs of a document.

    system (str): the task and what may be answered.
    user (str): examples, texts and pairs.
    rows (Tuple[int, ...]): the pairs, or texts, by their positions. They are numbered from 1 in the question.
    allowed (Tuple[Tuple[str, ...], ...]): the letters that each of them may be answered with.
    form (Form): how it is put.
    draw (Optional[Draw]): the answer is sampled; the likeliest is asked for where None.
    """

    system: str
    user: str
    rows: Tuple[int, ...]
    allowed: Tuple[Tuple[str, ...], ...]
    form: Form
    draw: Optional[Draw] = None

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
        if self.form.fields:
            return _object(dict.fromkeys(self.numbers, _list_schema(self.form.fields)))
        letters: List[Dict[str, Any]] = [{"type": "string", "enum": list(codes)} for codes in self.allowed]
        if self.form.several:
            # A bound, since small models go on and on.
            letters = [
                {"type": "array", "items": one, "maxItems": _most_labels(codes)}
                for one, codes in zip(letters, self.allowed)
            ]
        return _object(dict(zip(self.numbers, letters)))

    def grammar(self) -> str:
        """RETURNS (str): the answer in GBNF, the grammars of llama.cpp."""
        if self.form.fields:
            return _grammar(["list"] * len(self.rows), self.numbers, _list_rules(self.form.fields))
        letters = [" | ".join(_quoted(code if self.form.bare else f'"{code}"') for code in own) for own in self.allowed]
        if self.form.bare:
            return f"root ::= {letters[0]}"
        rules = [f"v{number} ::= {own}" for number, own in zip(self.numbers, letters)]
        values = [f"v{number}" for number in self.numbers]
        if self.form.several:
            most = [_most_labels(codes) - 1 for codes in self.allowed]
            values = [f'"[" ({value} (", " {value}){{0,{more}}})? "]"' for value, more in zip(values, most)]
        return _grammar(values, self.numbers, rules)


_JOINED = ' ", " '


def _object(properties: Dict[str, Any]) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): JSON schema of an object that has all of these and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list_schema(fields: Sequence[Field]) -> Dict[str, Any]:
    # A bound, since small models go on and on.
    item = {name: {"type": "string", **({"enum": list(allowed)} if allowed else {})} for name, allowed in fields}
    return {"type": "array", "items": _object(item), "maxItems": _MOST_ITEMS}


def _grammar(values: Sequence[str], numbers: Sequence[str], rules: Sequence[str]) -> str:
    """RETURNS (str): GBNF of an object with a value for each number."""
    items = [f"{_quoted(json.dumps(number) + ': ')} {value}" for number, value in zip(numbers, values)]
    return "\n".join([f'root ::= "{{" {_JOINED.join(items)} "}}"', *rules])


def _list_rules(fields: Sequence[Field]) -> List[str]:
    """RETURNS (List[str]): rules of GBNF for a `list` of items with these fields."""
    parts = []
    for name, allowed in fields:
        options = " | ".join(_quoted(json.dumps(value)) for value in allowed)
        parts.append(f"{_quoted(json.dumps(name) + ': ')} {f'({options})' if options else 'string'}")
    return [
        f'list ::= "[" (item (", " item){{0,{_MOST_ITEMS - 1}}})? "]"',
        f'item ::= "{{" {_JOINED.join(parts)} "}}"',
        r'string ::= "\"" [^"\\\x00-\x1F]{1,120} "\""',
    ]


def _quoted(text: str) -> str:
    """RETURNS (str): a literal of GBNF, which is written as in JSON."""
    return json.dumps(text)


def _most_labels(codes: Sequence[str]) -> int:
    """RETURNS (int): how many of the letters an answer may hold."""
    return min(len(codes), _MOST_LABELS)


class Questions:
    """Puts the pairs, or the texts, of documents into questions.

    wording (Wording): their words.
    form (Form): how questions are put.
    limit (int): most tokens of a question and its answer.
    name (str): the model, for messages.
    """

    def __init__(self, wording: Wording, form: Form, limit: int, name: str) -> None:
        self.wording = wording
        self.form = form
        self.limit = limit
        self.name = name
        # The length of the longest text that had to be cut.
        self.cut = 0
        self._macros = load_template(TEMPLATE)
        self._system = wording.system(form)

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
            shown = self._shown(examples[start:end], self.length(waiting[start:end]))
            codes = self.wording.choices.codes
            own = [tuple(code for code, may in zip(codes, row) if may) for row in allowed[start:end]]
            user = self._examples(shown) + self._body(waiting[start:end])
            yield Question(self._system, user.rstrip(), tuple(rows[start:end]), tuple(own), self.form)
            start = end

    def _most(self, pairs: Sequence[Instance]) -> int:
        """RETURNS (int): how many pairs, from the first one on, fit into one question."""
        most = min(len(pairs), 1 if self.form.by_pair else _MOST_PAIRS)
        return next((count for count in range(most, 1, -1) if self.length(pairs[:count]) <= self.limit), 1)

    def length(self, pairs: Sequence[Instance]) -> int:
        """RETURNS (int): tokens of a question without examples, and of its answer."""
        return count_tokens(self._system + self._body(pairs)) + _answer_tokens(len(pairs), self.form)

    def _fitting(self, pair: Instance) -> Instance:
        """RETURNS (Instance): a pair whose text fits, cut around the mentions where it is too long."""

        def fits(shorter: Instance) -> bool:
            return self.length([shorter]) <= self.limit

        if fits(pair):
            return pair
        self.cut = max(self.cut, self.length([pair]))
        for shorter in (pair, cut_mentions(pair, MENTION_WORDS)):
            if fits(cut_text(shorter, 0)):
                return most_context(shorter, fits)
        length = self.length([cut_text(shorter, 0)])
        raise ValueError(Errors.R717.format(length=length, name=self.name, limit=self.limit))

    def _body(self, pairs: Sequence[Instance]) -> str:
        return self.wording.body(list(enumerate(pairs, start=1)))

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
        text, answer = self._body([example]), self.wording.answer(example, self.form)
        if answer is None:
            return text
        value = answer if self.form.bare else json.dumps({"1": answer}, ensure_ascii=False)
        return text.rstrip("\n") + "\n" + str(self._macros.answer(value))


def count_tokens(text: str) -> int:
    """RETURNS (int): about how many tokens a text has, rather too many."""
    return ceil(len(text.encode("utf8", "replace")) / _TOKEN_BYTES)


def _answer_tokens(pairs: int, form: Form) -> int:
    return 32 + pairs * (_MOST_ITEMS * _ITEM_TOKENS if form.fields else 48 if form.several else 16)


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
