"""Token sequences as prefix trees: what several have in common is computed once, in the same pass as the rest.

For example, the sequences "t u v a b", "t u v a c" and "t u v d" (t u v: a text; then questions and responses) are one
row of seven tokens:

    tokens    t  u  v  a  b  c  d          a token sees its ancestors only:
    depths    0  1  2  3  4  4  3            b sees t u v a b,   c sees t u v a c,   d sees t u v d
    paths     [0 1 2 3 4]  [0 1 2 3 5]  [0 1 2 6]

Questions of several kinds about the same texts, with their responses, are short and long sequences. In batches by
length, or padded to one length, they would take several times the passes or the tokens. `packing` is for prompts that
are too many for one pass: its prefix caches outlive a pass.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Dict, Iterator, List, NamedTuple, Sequence, Tuple

from .packing import Ids, batches
from .tries import count_common

if TYPE_CHECKING:
    from torch import Tensor

# Sequences with fewer tokens in common are no tree: it would be longer for little.
LEAST_SHARED = 8
# A tree with more tokens takes no further sequence, since attention is computed over the square of its length.
MOST_TOKENS = 192


class Branch(NamedTuple):
    """What a sequence adds to its tree.

    before (List[int]): places of the tokens that were there.
    start (int): place of the first new token.
    stop (int): the place after the last one.
    """

    before: List[int]
    start: int
    stop: int


@dataclass
class Tree:
    """Sequences that begin with the same tokens.

    tokens (List[int]): token ids.
    branches (List[Branch]): what each sequence added.
    paths (Dict[int, List[int]]): by the number of a sequence, the places of its tokens.
    """

    tokens: List[int] = field(default_factory=list)
    branches: List[Branch] = field(default_factory=list)
    paths: Dict[int, List[int]] = field(default_factory=dict)

    def __len__(self) -> int:
        """RETURNS (int): the number of tokens."""
        return len(self.tokens)


class Layout(NamedTuple):
    """What one pass computes.

    rows (List[List[int]]): token ids of each row, a tree.
    depths (torch.Tensor): each token's place in its sequences, *Shape* (rows, longest row).
    seen (torch.Tensor): bool, whether a token sees another, *Shape* (rows, longest row, longest row).
    paths (Dict[int, Tuple[int, List[int]]]): by the number of a sequence, its row and the places of its tokens there.
    """

    rows: List[List[int]]
    depths: "Tensor"
    seen: "Tensor"
    paths: Dict[int, Tuple[int, List[int]]]


def grow_trees(sequences: Sequence[Ids]) -> List[Tree]:
    """RETURNS (List[Tree]): the trees that hold all sequences."""
    trees: List[Tree] = []
    path: List[int] = []
    last: Ids = ()
    for i in sorted(range(len(sequences)), key=lambda i: sequences[i]):
        sequence = sequences[i]
        common = count_common(last, sequence)
        if not trees or common < LEAST_SHARED or len(trees[-1]) + len(sequence) - common > MOST_TOKENS:
            trees.append(Tree())
            common = 0
        tree = trees[-1]
        start = len(tree)
        tree.tokens.extend(sequence[common:])
        tree.branches.append(Branch(path[:common], start, len(tree)))
        path = [*path[:common], *range(start, len(tree))]
        tree.paths[i] = path
        last = sequence
    return trees


def lay_out(sequences: Sequence[Ids], limit: int) -> Iterator[Layout]:
    """Put sequences into passes.

    sequences (Sequence[Tuple[int, ...]]): token ids.
    limit (int): maximum number of tokens of a pass, padding included. A longer row is a pass of its own.
    YIELDS (Layout): the passes. Each sequence is in one of them.
    """
    trees = grow_trees(sequences)
    for members in batches([len(tree) for tree in trees], limit):
        yield _layout([trees[i] for i in members])


def _layout(rows: Sequence[Tree]) -> Layout:
    import torch

    longest = max(map(len, rows))
    depths = torch.zeros(len(rows), longest, dtype=torch.long)
    # Padding sees itself: a token that sees nothing would have no state.
    seen = torch.eye(longest, dtype=torch.bool).repeat(len(rows), 1, 1)
    paths: Dict[int, Tuple[int, List[int]]] = {}
    for i, tree in enumerate(rows):
        for before, start, stop in tree.branches:
            own = slice(start, stop)
            depths[i, own] = torch.arange(len(before), len(before) + stop - start)
            seen[i, own, own] = torch.ones(stop - start, stop - start, dtype=torch.bool).tril()
            seen[i, own, before] = True
        paths.update({k: (i, path) for k, path in tree.paths.items()})
    return Layout([tree.tokens for tree in rows], depths, seen, paths)
