"""A token trie of answers, laid out as one sequence: each token once, each sees its ancestors only.

For example, the answers "is in", "is of" and "met" after a prompt, whose last token is the root (-1):

    root -- is (0) -- in (1)          tokens    is  in  of  met
                   -- of (2)          parents   -1   0   0   -1          paths   [0 1]  [0 2]  [3]
         -- met (3)                   depths     0   1   1    0

The label score of an answer is the sum of the log-probabilities along its path, where the state of a node's parent
predicts the node: log p(is | prompt) + log p(in | prompt, is).
"""

from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple


@dataclass(frozen=True)
class TokenTrie:
    """The answers to one prompt as a tree. The prompt's last token is the root and has the index -1.

    tokens (List[int]): token id of every node, parents before children.
    parents (List[int]): index of every node's parent, -1 for the root.
    depths (List[int]): distance from the root's children, so 0 for an answer's first token.
    paths (List[List[int]]): for every answer, its nodes from the first token to the last.
    """

    tokens: List[int]
    parents: List[int]
    depths: List[int]
    paths: List[List[int]]

    @classmethod
    def build(cls, answers: Sequence[Sequence[int]]) -> "TokenTrie":
        """answers (Sequence[Sequence[int]]): token ids of the answers.
        RETURNS (TokenTrie): the trie that holds them.
        """
        tokens: List[int] = []
        parents: List[int] = []
        depths: List[int] = []
        children: Dict[Tuple[int, int], int] = {}
        paths = []
        for answer in answers:
            node = -1
            path = []
            for depth, token in enumerate(answer):
                child = children.get((node, token))
                if child is None:
                    child = len(tokens)
                    children[(node, token)] = child
                    tokens.append(token)
                    parents.append(node)
                    depths.append(depth)
                node = child
                path.append(node)
            paths.append(path)
        return cls(tokens, parents, depths, paths)

    def __len__(self) -> int:
        """RETURNS (int): the number of nodes."""
        return len(self.tokens)

    def inner(self) -> List[int]:
        """RETURNS (List[int]): the nodes that have children, the root (-1) first."""
        return sorted(set(self.parents))

    def answers(self) -> List[List[int]]:
        """RETURNS (List[List[int]]): token ids of the answers."""
        return [[self.tokens[node] for node in path] for path in self.paths]


def cut_answers(answers: Sequence[Sequence[int]], limit: int) -> List[List[int]]:
    """Cut many answers into parts whose tries stay small. Answers with the same beginning stay together where they can.

    answers (Sequence[Sequence[int]]): token ids of the answers.
    limit (int): maximum number of nodes of a trie; one answer that is longer is a part of its own.
    RETURNS (List[List[int]]): indexes of the answers, a part each.
    """
    parts: List[List[int]] = []
    nodes = 0
    last: Sequence[int] = ()
    for i in sorted(range(len(answers)), key=lambda i: tuple(answers[i])):
        answer = answers[i]
        common = count_common(last, answer)
        nodes += len(answer) - common
        if parts and nodes <= limit:
            parts[-1].append(i)
        else:
            parts.append([i])
            nodes = len(answer)
        last = answer
    return parts


def count_common(first: Sequence[int], second: Sequence[int]) -> int:
    """RETURNS (int): how many tokens two sequences have in common at their start."""
    return next((k for k, (a, b) in enumerate(zip(first, second)) if a != b), min(len(first), len(second)))
