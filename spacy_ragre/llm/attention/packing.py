"""Packed batches: which prompts are computed in one forward pass, and which prefixes they share.

Prompts are paths in a prefix tree, instruction -> document -> pair. Each level is computed once, and its keys and
values are kept for all that comes after it. For example, five prompts over two documents:

    instruction I --+-- document A --+-- pair a1          passes:  1.  prefill I                    (prefix cache)
                    |                +-- pair a2                   2.  prefill A and B after I      (prefix cache)
                    |                +-- pair a3                   3.  the packed batch, a grid of documents x pairs:
                    +-- document B --+-- pair b1                         A:  a1  a2  a3
                                     +-- pair b2                         B:  b1  b2  --

A packed batch has the same number of rows for each of its documents, some of them empty (--), so that all rows of a
document attend to its keys and values by one matrix product. A document with one pair is not worth a pass of its own:
its tokens are part of the pair's row. A document whose pairs don't fit one pass gets several with one prefix cache.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

if TYPE_CHECKING:
    from .prefix_attention import PrefixCache

Ids = Tuple[int, ...]

# A pass of this many tokens keeps matrix products efficient; a larger one takes no prompt much shorter than its
# longest.
ENOUGH_TOKENS = 512
MIN_FILL = 0.8


@dataclass(frozen=True)
class TokenPrompt:
    """The token ids of a prompt, cut where others may share what came before.

    instruction (Tuple[int, ...]): special tokens, and what all prompts share.
    document (Tuple[int, ...]): what all pairs of a document share: its text, or the examples that they are shown.
    pair (Tuple[int, ...]): what is the pair's own: the query, and examples that others are not shown.
    """

    instruction: Ids = ()
    document: Ids = ()
    pair: Ids = ()

    @property
    def ids(self) -> Ids:
        """RETURNS (Tuple[int, ...]): all token ids."""
        return self.instruction + self.document + self.pair

    def __len__(self) -> int:
        """RETURNS (int): the number of tokens."""
        return len(self.instruction) + len(self.document) + len(self.pair)


@dataclass
class Shared:
    """What the rows of some chunks share: nothing, an instruction, or an instruction and a few documents.

    instruction (Tuple[int, ...]): token ids.
    documents (List[Tuple[int, ...]]): token ids of each document; none where only the instruction is shared.
    users (int): chunks, and other shared parts, that still need it.
    parent (Optional[Shared]): the instruction that the documents come after.
    context (Optional[PrefixCache]): the keys and values, once they are computed.
    """

    instruction: Ids = ()
    documents: List[Ids] = field(default_factory=list)
    users: int = 0
    parent: Optional["Shared"] = None
    context: Optional["PrefixCache"] = None

    def release(self) -> None:
        """One user is done. After the last one, gradients flow back to what the keys and values were computed from,
        and their memory is freed.
        """
        self.users -= 1
        if self.users > 0:
            return
        if self.context is not None:
            self.context.backward()
            self.context = None
        if self.parent is not None:
            self.parent.release()


@dataclass
class PackedBatch:
    """What one forward pass computes.

    prompts (List[TokenPrompt]): the prompts.
    indexes (List[int]): where they stand among all prompts that were packed.
    rows (List[Tuple[int, ...]]): token ids of each prompt, without those that are shared.
    cells (List[int]): each prompt's place in a grid of documents x `per_document`, row by row.
    per_document (int): rows for each document.
    shared (Optional[Shared]): what the rows see before their own tokens.
    """

    prompts: List[TokenPrompt]
    indexes: List[int]
    rows: List[Ids]
    cells: List[int]
    per_document: int
    shared: Optional[Shared] = None

    def __len__(self) -> int:
        """RETURNS (int): the number of prompts."""
        return len(self.prompts)

    @property
    def grid(self) -> List[Ids]:
        """RETURNS (List[Tuple[int, ...]]): token ids of all cells, empty ones included."""
        documents = max(1, len(self.shared.documents)) if self.shared is not None else 1
        cells: List[Ids] = [()] * (documents * self.per_document)
        for cell, row in zip(self.cells, self.rows):
            cells[cell] = row
        return cells

    def release(self) -> None:
        """Say that the pass, and its backward pass in training, is over."""
        if self.shared is not None:
            self.shared.release()


def unshared(prompts: Sequence[TokenPrompt], indexes: Optional[Sequence[int]] = None) -> PackedBatch:
    """RETURNS (PackedBatch): prompts as rows that share nothing."""
    indexes = range(len(prompts)) if indexes is None else indexes
    return PackedBatch(list(prompts), list(indexes), [p.ids for p in prompts], list(range(len(prompts))), len(prompts))


def batches(lengths: Sequence[int], limit: int, fill: float = MIN_FILL) -> List[List[int]]:
    """Group rows of similar length so that a padded batch stays within a limit and little of it is padding.

    lengths (Sequence[int]): each row's number of tokens.
    limit (int): maximum number of tokens of a batch, padding included. A longer row is a batch of its own.
    fill (float): in a batch with enough to do, no row is shorter than this share of the longest.
    RETURNS (List[List[int]]): indexes of the rows, a batch each, longest first, so that a batch too large for the
        memory fails at once.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    result: List[List[int]] = []
    for i in order:
        longest = lengths[result[-1][0]] if result else 0
        size = len(result[-1]) + 1 if result else 0
        wasteful = size * longest > ENOUGH_TOKENS and lengths[i] < fill * longest
        if result and size * longest <= limit and not wasteful:
            result[-1].append(i)
        else:
            result.append([i])
    return result


def pack(
    prompts: Sequence[TokenPrompt],
    limit: int,
    share: bool = True,
    extra: Callable[[int], int] = lambda index: 0,
) -> Iterator[PackedBatch]:
    """Cut prompts into chunks.

    The chunks that need a document follow one another, so that the keys and values of few documents are held at a
    time. What only one prompt has is not worth a pass of its own and is part of its row.

    prompts (Sequence[TokenPrompt]): the prompts.
    limit (int): maximum number of tokens of a pass, padding included.
    share (bool): False for chunks that share nothing.
    extra (Callable[[int], int]): gives the number of tokens that come after a prompt, by its index.
    YIELDS (PackedBatch): the chunks. Call `release` of each when it is done.
    """
    if not share:
        for batch in batches([len(p) + extra(i) for i, p in enumerate(prompts)], limit):
            yield unshared([prompts[i] for i in batch], batch)
        return
    groups: Dict[Ids, Dict[Ids, List[int]]] = {}
    for i, prompt in enumerate(prompts):
        groups.setdefault(prompt.instruction, {}).setdefault(prompt.document, []).append(i)
    for instruction, documents in groups.items():
        # One user more than there are chunks, so that it stays until all of them were made.
        root = Shared(instruction, users=1) if instruction else None
        alone = [i for document, members in documents.items() if not document or len(members) == 1 for i in members]
        lengths = [len(prompts[i].document) + len(prompts[i].pair) + extra(i) for i in alone]
        for batch in batches(lengths, limit):
            members = [alone[i] for i in batch]
            rows = [prompts[i].document + prompts[i].pair for i in members]
            yield _chunk(prompts, members, rows, list(range(len(rows))), len(rows), root)
        together = {document: m for document, m in documents.items() if document and len(m) > 1}
        for batch_of_documents in _documents(together, prompts, limit, extra):
            shared = Shared(instruction, [document for document, _ in batch_of_documents], users=1, parent=root)
            if root is not None:
                root.users += 1
            yield from _cut(batch_of_documents, shared, prompts, limit, extra)
            shared.release()
        if root is not None:
            root.release()


Members = Tuple[Ids, List[int]]


def _chunk(
    prompts: Sequence[TokenPrompt],
    members: List[int],
    rows: List[Ids],
    cells: List[int],
    per_document: int,
    shared: Optional[Shared],
) -> PackedBatch:
    if shared is not None:
        shared.users += 1
    return PackedBatch([prompts[i] for i in members], members, rows, cells, per_document, shared)


def _documents(
    documents: Dict[Ids, List[int]], prompts: Sequence[TokenPrompt], limit: int, extra: Callable[[int], int]
) -> Iterator[List[Members]]:
    """YIELDS (List[Tuple[Tuple[int, ...], List[int]]]): documents whose pairs fill a pass together, with the indexes of
    their prompts, longest first; or one document.
    """

    def length(i: int) -> int:
        return len(prompts[i].pair) + extra(i)

    sorted_members = [(document, sorted(members, key=lambda i: -length(i))) for document, members in documents.items()]
    # Neighbours in this order make grids with few empty cells.
    sorted_members.sort(key=lambda item: (-len(item[1]), -length(item[1][0])))
    current: List[Members] = []
    used = longest = reading = 0
    for document, members in sorted_members:
        size = sum(length(i) for i in members)
        most = max(longest, length(members[0]))
        count = len(current) + 1
        cells = count * len(current[0][1] if current else members) * most
        reading = max(reading, len(document))
        full = cells > limit or count * reading > limit or (cells > ENOUGH_TOKENS and used + size < MIN_FILL * cells)
        if current and full:
            yield current
            current, used, most, reading = [], 0, length(members[0]), len(document)
        current.append((document, members))
        used, longest = used + size, most
    if current:
        yield current


def _cut(
    documents: List[Members],
    shared: Shared,
    prompts: Sequence[TokenPrompt],
    limit: int,
    extra: Callable[[int], int],
) -> Iterator[PackedBatch]:
    """YIELDS (PackedBatch): one chunk for several documents; for one document as many as its pairs need."""
    if len(documents) > 1:
        width = max(len(members) for _, members in documents)
        cells = [d * width + p for d, (_, members) in enumerate(documents) for p in range(len(members))]
        flat = [i for _, members in documents for i in members]
        yield _chunk(prompts, flat, [prompts[i].pair for i in flat], cells, width, shared)
        return
    members = documents[0][1]
    for batch in batches([len(prompts[i].pair) + extra(i) for i in members], limit):
        chosen = [members[i] for i in batch]
        yield _chunk(prompts, chosen, [prompts[i].pair for i in chosen], list(range(len(chosen))), len(chosen), shared)
