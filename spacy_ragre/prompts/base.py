"""What a prompt is: its parts in their fixed order, and the texts that may answer it.

Parts and pieces. The parts of a prompt come in the order instruction, document, examples, query, from what is
shared most to what is shared least, so that a backbone computes the shared ones once. Parts are tokenised one by
one, and examples and query may be split further, into pieces: a mention next to a bracket has the same tokens
wherever it stands only if the border between them is fixed. `Segments.pieces` gives what is tokenised at one go.

Whitespace. Byte-level BPE (GPT-2, SmolLM2, Llama 3) takes one space together with the word after it, and splits
runs of whitespace by what follows them. Pieces are safe for it by these rules, which `Segments` does not check and
every prompt must keep:

- the instruction, the document and each example end in exactly one newline;
- no other piece ends in whitespace, and a piece starts with one newline, one space, one of each in this order, or
  none of them;
- the query does not end in whitespace, and every answer starts with one space.

A SentencePiece tokenizer that puts a space of its own before each text must be called so that it does so for the
first piece only.
"""

from dataclasses import dataclass
from typing import List, NamedTuple, Optional, Protocol, Sequence, Tuple, Union

from ..instances import Answer, Instance
from ..labels import LabelSet

Part = Union[str, Tuple[str, ...]]


@dataclass(frozen=True)
class Segments:
    """The parts of one prompt. Their concatenation is the prompt; empty parts are skipped.

    instruction (str): what to do and the labels; the same for all prompts of a component.
    document (str): text that all pairs of a document share.
    examples (Tuple[Union[str, Tuple[str, ...]], ...]): each example, whole or in pieces.
    query (Union[str, Tuple[str, ...]]): the question about one pair, whole or in pieces.
    """

    instruction: str = ""
    document: str = ""
    examples: Tuple[Part, ...] = ()
    query: Part = ""

    def shared_pieces(self) -> List[str]:
        """RETURNS (List[str]): the pieces that come before what belongs to one pair: instruction and document."""
        return [piece for piece in (self.instruction, self.document) if piece]

    def pair_pieces(self) -> List[str]:
        """RETURNS (List[str]): the pieces that belong to one pair: its examples and its query."""
        return self.example_pieces() + self.query_pieces()

    def example_pieces(self) -> List[str]:
        """RETURNS (List[str]): the pieces of the examples."""
        return [piece for example in self.examples for piece in _pieces(example)]

    def query_pieces(self) -> List[str]:
        """RETURNS (List[str]): the pieces of the query."""
        return _pieces(self.query)

    def pieces(self) -> List[str]:
        """RETURNS (List[str]): all pieces in order, none of them empty, each to be tokenised by itself."""
        return self.shared_pieces() + self.pair_pieces()

    @property
    def text(self) -> str:
        """RETURNS (str): the prompt."""
        return "".join(self.pieces())


def _pieces(part: Part) -> List[str]:
    return [piece for piece in ((part,) if isinstance(part, str) else part) if piece]


class ParsedAnswer(NamedTuple):
    """What a generated answer means.

    answer (Optional[Answer]): the relation; None for "no relation", and where nothing matched.
    matched (bool): False where the text could not be matched to exactly one class.
    """

    answer: Optional[Answer] = None
    matched: bool = True


class Prompt(Protocol):
    """Words a question about a pair, and reads the answer. Holds settings only, so that it can be pickled.

    example_labels (bool): whether it shows the relations of the examples; True where a prompt does not say.
    """

    @property
    def example_labels(self) -> bool: ...

    def segments(self, query: Instance, labels: LabelSet, examples: Sequence[Instance] = ()) -> Segments:
        """The prompt for one pair.

        query (Instance): the pair to ask about; its answers are not looked at.
        labels (LabelSet): the labels.
        examples (Sequence[Instance]): retrieved pairs to show before the question, in this order.
        RETURNS (Segments): the parts of the prompt.
        """
        ...

    def answers(self, query: Instance, labels: LabelSet) -> List[str]:
        """The texts that may follow the prompt.

        query (Instance): the pair asked about.
        labels (LabelSet): the labels.
        RETURNS (List[str]): one text for each of `labels.classes`, each starting with a space, all different. A
            ValueError is raised where two labels would give the same text.
        """
        ...

    def parse(self, answer_text: str, query: Instance, labels: LabelSet) -> ParsedAnswer:
        """Match generated text to the label set. What can't be matched to exactly one class is never guessed.

        answer_text (str): what the model wrote after the prompt.
        query (Instance): the pair asked about.
        labels (LabelSet): the labels.
        RETURNS (ParsedAnswer): the relation, and whether anything matched.
        """
        ...
