"""What a candidate is: two mentions of a document, the text to read them in, and the directions to ask about."""

from dataclasses import dataclass, replace
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple

from spacy.tokens import Doc, Span

from ..instances import Instance
from ..relations import ID_KEY, CandidatePair
from .windows import Windows


@dataclass(frozen=True)
class Candidate:
    """Two mentions that may hold a relation, in the order of the text.

    The mention that starts first is `first`; of two that start together, the longer one. In a pair that was put head
    first (`ragre.Proposed.v1`), the head is `first` wherever it stands.

    first (Tuple[int, int]): token offsets of the first mention, end exclusive.
    second (Tuple[int, int]): token offsets of the second mention.
    instance (Instance): the text to read, with the mentions' character offsets in it and their entity types.
    forward (bool): True where relations with the first mention as head are asked for.
    reversed (bool): True where relations with the second mention as head are asked for.
    first_cluster (Optional[int]): index into the document's entity clusters; None at sentence level.
    second_cluster (Optional[int]): the same for the second mention.
    forward_proposal (Optional[CandidatePair]): what `doc._.candidate_pairs` says of relations with the first mention as
        head; None where these were not proposed.
    reversed_proposal (Optional[CandidatePair]): the same with the second mention as head.
    across (bool): True where the second mention stands in a later sentence than the first.
    mention_pairs (Tuple[Instance, ...]): of two clusters, the nearest pairs of their mentions, each in its own
        sentences, the first cluster's mention as first wherever it stands; for readers of sentences. Empty at sentence
        level.
    """

    first: Tuple[int, int]
    second: Tuple[int, int]
    instance: Instance
    forward: bool = True
    reversed: bool = True
    first_cluster: Optional[int] = None
    second_cluster: Optional[int] = None
    forward_proposal: Optional[CandidatePair] = None
    reversed_proposal: Optional[CandidatePair] = None
    across: bool = False
    mention_pairs: Tuple[Instance, ...] = ()

    def swapped(self) -> "Candidate":
        """RETURNS (Candidate): the same pair, asked about in the other order."""
        return replace(
            self,
            first=self.second,
            second=self.first,
            instance=self.instance.swapped(),
            forward=self.reversed,
            reversed=self.forward,
            first_cluster=self.second_cluster,
            second_cluster=self.first_cluster,
            forward_proposal=self.reversed_proposal,
            reversed_proposal=self.forward_proposal,
            mention_pairs=tuple(instance.swapped() for instance in self.mention_pairs),
        )


CandidateGenerator = Callable[[Doc, Sequence[Span]], List[Candidate]]


class Mention(NamedTuple):
    """A mention as plain data, because Spans are slow to make and to compare for thousands of pairs."""

    start: int
    end: int
    label: str
    cluster: Optional[int] = None

    @property
    def offsets(self) -> Tuple[int, int]:
        return (self.start, self.end)


def text_order(mention: Mention) -> Tuple[int, int]:
    """RETURNS (Tuple[int, int]): the key that sorts mentions by start, the longer one first."""
    return (mention.start, -mention.end)


def is_blank(span: Span) -> bool:
    """RETURNS (bool): True for a span of no tokens, or of whitespace only, which names nothing."""
    return not span.text.strip()


def sorted_mentions(spans: Sequence[Span]) -> List[Mention]:
    """The mentions in the order of the text, without blank spans and duplicates.

    spans (Sequence[Span]): the entity mentions; they may overlap.
    RETURNS (List[Mention]): one item for each combination of offsets and label.
    """
    unique = {Mention(span.start, span.end, span.label_) for span in spans if not is_blank(span)}
    return sorted(unique, key=lambda mention: (*text_order(mention), mention.label))


def make_candidate(
    doc: Doc,
    windows: Windows,
    first: Mention,
    second: Mention,
    *,
    bounds: Optional[Tuple[int, int]] = None,
    forward: bool = True,
    reversed: bool = True,
    forward_proposal: Optional[CandidatePair] = None,
    reversed_proposal: Optional[CandidatePair] = None,
) -> Candidate:
    """Put a pair into its text.

    doc (Doc): the document.
    windows (Windows): the windows of that document.
    first (Mention): the mention that starts first.
    second (Mention): the other one.
    bounds (Optional[Tuple[int, int]]): tokens that the text must not leave; None for the whole document.
    forward (bool): ask for relations with the first mention as head.
    reversed (bool): ask for relations with the second mention as head.
    forward_proposal (Optional[CandidatePair]): see `Candidate`.
    reversed_proposal (Optional[CandidatePair]): see `Candidate`.
    RETURNS (Candidate): the candidate.
    """
    text, first_chars, second_chars = windows.cut(first.offsets, second.offsets, bounds)
    instance = Instance(
        text=text,
        first=first_chars,
        second=second_chars,
        first_type=first.label,
        second_type=second.label,
        id=str(doc.user_data.get(ID_KEY, "")),
    )
    return Candidate(
        first=first.offsets,
        second=second.offsets,
        instance=instance,
        forward=forward,
        reversed=reversed,
        first_cluster=first.cluster,
        second_cluster=second.cluster,
        forward_proposal=forward_proposal,
        reversed_proposal=reversed_proposal,
        across=windows.are_apart(first.offsets, second.offsets),
    )
