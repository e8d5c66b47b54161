"""A grammar of lists whose names are copied from a text: which tokens may come next while a response is generated.

A response is "none" or a list of items, and an item is a fixed sequence of fields: a name, which is a run of the text's
own words, or one of a few fixed strings. Decoding that follows the grammar can name nothing that is not in the text,
always ends, and always is a list. For example, with the text "takes fish oil" and the fields [name, kind]:

    generated so far           allowed next
    (nothing)                  none, takes, fish, oil             a name begins with any word
    fish                       oil, (event), (supplement)         the text goes on, or the name ends
    fish (event)               ; or the end                       a list may go on with the words behind the last name
    fish oil (supplement)      the end                            nothing of the text is left to list

Several readings may be open at once where a word occurs more than once; each is a state, (tokens that must come now,
what comes after them), and the set of states advances with each token.
"""

from bisect import bisect_left
from typing import Any, Dict, FrozenSet, Iterator, List, NamedTuple, Optional, Sequence, Tuple

Ids = Tuple[int, ...]
Run = Tuple[int, int]  # pieces of the text, end exclusive
# Tokens that must come now, and what comes after them.
State = Tuple[Ids, Tuple[Any, ...]]


class Piece(NamedTuple):
    """A word or another character of the text.

    first (Tuple[int, ...]): its token ids where a name begins with it.
    inside (Tuple[int, ...]): its token ids where it goes on with a name.
    begins (bool): whether a name may begin with it.
    ends (bool): whether a name may end with it.
    """

    first: Ids
    inside: Ids
    begins: bool = True
    ends: bool = True


class CopyGrammar:
    """The responses to one text.

    Items come in the order of the text, so that none comes twice: a list with one name an item never goes back behind
    the last name; with two names, the first does not go back, and the second does not while the first stays.

    pieces (Sequence[Piece]): the text.
    fields (Sequence[Optional[Sequence[Ids]]]): the fields of an item: None for a name, else the strings to choose from.
    separator (Tuple[int, ...]): token ids between two items.
    none (Tuple[int, ...]): token ids of an empty list.
    end (int): the token that ends a response.
    max_pieces (int): maximum number of pieces of a name.
    """

    def __init__(
        self,
        pieces: Sequence[Piece],
        fields: Sequence[Optional[Sequence[Ids]]],
        *,
        separator: Ids,
        none: Ids,
        end: int,
        max_pieces: int = 12,
    ) -> None:
        self.pieces = pieces
        self.fields = fields
        self.separator = separator
        self.none = none
        self.end = end
        self.max_pieces = max_pieces
        # Where the next piece is that a name may end with, from each piece on.
        self._next_end = [len(pieces) + max_pieces] * (len(pieces) + 1)
        for i in range(len(pieces) - 1, -1, -1):
            self._next_end[i] = i if pieces[i].ends else self._next_end[i + 1]
        self._starts = [i for i, piece in enumerate(pieces) if piece.begins and self._may_reach(i, i)]

    def start(self) -> FrozenSet[State]:
        """RETURNS (FrozenSet[State]): the states before the first token."""
        return frozenset([((*self.none, self.end), ()), *self._field(0, (), None)])

    def allowed(self, states: FrozenSet[State]) -> List[int]:
        """RETURNS (List[int]): the tokens that may come next; the end token where the response is over."""
        return sorted({ids[0] for ids, _ in states}) or [self.end]

    def advance(self, states: FrozenSet[State], token: int) -> FrozenSet[State]:
        """Take in a token.

        states (FrozenSet[State]): the states before it.
        token (int): its id.
        RETURNS (FrozenSet[State]): the states after it; none where the response is over, or the token is not allowed.
        """
        result: List[State] = []
        for ids, after in states:
            if ids[0] != token:
                continue
            if len(ids) > 1:
                result.append((ids[1:], after))
            elif after:
                result.extend(self._next(after))
        return self._widest(result)

    def draft(self, states: FrozenSet[State], most: int) -> List[int]:
        """What probably comes next: the tokens that must, and where there is a choice those that end a name or go on to
        the next item. Nothing is guessed where a name begins, or where several strings may follow.

        states (FrozenSet[State]): the states that it comes after.
        most (int): maximum number of tokens.
        RETURNS (List[int]): token ids, without an end token.
        """
        drafted: List[int] = []
        while len(drafted) < most:
            token = self._probable(states)
            if token is None or token == self.end:
                break
            drafted.append(token)
            states = self.advance(states, token)
        return drafted

    @staticmethod
    def _probable(states: FrozenSet[State]) -> Optional[int]:
        tokens = {ids[0] for ids, _ in states}
        if len(tokens) == 1:
            return tokens.pop()
        for kind in ("string", "item"):
            tokens = {ids[0] for ids, after in states if after and after[0] == kind}
            if tokens:
                return tokens.pop() if len(tokens) == 1 else None
        return None

    def _widest(self, states: List[State]) -> FrozenSet[State]:
        """Of the states before a separator, keep the one after which most may come: it allows all that the others do.
        In a text that repeats itself, a response can be read in more ways than can be followed otherwise.
        """
        result = []
        between: Dict[Ids, State] = {}
        for state in states:
            ids, after = state
            if not after or after[0] != "item":
                result.append(state)
            elif ids not in between or self._behind(after[-1]) < self._behind(between[ids][1][-1]):
                between[ids] = state
        return frozenset([*result, *between.values()])

    @staticmethod
    def _behind(last: Tuple[Run, ...]) -> Tuple[int, ...]:
        """RETURNS (Tuple[int, ...]): sorts last items by what may follow, most first. See `_least`."""
        return (last[0][1],) if len(last) == 1 else (last[0][0], last[1][0])

    def _next(self, after: Tuple[Any, ...]) -> Iterator[State]:
        kind, field, start, stop, done, last = after
        if kind == "name":
            if self._may_reach(start, stop):
                yield self.pieces[stop].inside, ("name", field, start, stop + 1, done, last)
            if self.pieces[stop - 1].ends:
                yield from self._field(field + 1, (*done, (start, stop)), last)
        elif kind == "string":
            yield from self._field(field + 1, done, last)
        else:
            yield from self._field(0, (), last)

    def _field(self, field: int, done: Tuple[Run, ...], last: Optional[Tuple[Run, ...]]) -> Iterator[State]:
        if field == len(self.fields):
            yield (self.end,), ()
            if any(True for _ in self._field(0, (), done)):
                yield self.separator, ("item", 0, 0, 0, (), done)
            return
        choices = self.fields[field]
        if choices is not None:
            for ids in choices:
                yield ids, ("string", field, 0, 0, done, last)
            return
        least = self._least(done, last)
        for start in self._starts[bisect_left(self._starts, least) :]:
            yield self.pieces[start].first, ("name", field, start, start + 1, done, last)

    def _may_reach(self, start: int, piece: int) -> bool:
        """RETURNS (bool): whether a name from `start` may have this piece, since it can still end."""
        return self._next_end[piece] - start < self.max_pieces

    def _least(self, done: Tuple[Run, ...], last: Optional[Tuple[Run, ...]]) -> int:
        """RETURNS (int): the first piece that the next name may begin with."""
        if last is None or len(done) >= len(last):
            return 0
        if len(last) == 1:
            return last[0][1]
        if not done:
            # Where the second name can go no further, the first has to.
            return last[0][0] + (0 if last[1][0] < self._starts[-1] else 1)
        return last[1][0] + 1 if done[0][0] == last[0][0] else 0
