"""What a server answered, as plain data, and the answers that are kept: in memory, and in a folder if one is set."""

import hashlib
import json
import warnings
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import List, Mapping, NamedTuple, Optional, Tuple

from ...errors import Warnings
from ...files import atomic_write

# Answers that are held in memory, so that a batch that failed is not asked again as a whole.
_HELD = 4096


class Token(NamedTuple):
    """A token of an answer.

    text (str): the token.
    logprob (float): natural log of its probability.
    others (Tuple[Tuple[str, float], ...]): the likeliest tokens in its place, itself among them, with theirs.
    """

    text: str
    logprob: float
    others: Tuple[Tuple[str, float], ...] = ()


class Reply(NamedTuple):
    """An answer.

    text (str): what the model wrote.
    tokens (Tuple[Token, ...]): its tokens; empty where the server tells no probabilities.
    """

    text: str
    tokens: Tuple[Token, ...] = ()

    def dump(self) -> bytes:
        """RETURNS (bytes): the reply as JSON."""
        return json.dumps({"text": self.text, "tokens": self.tokens}).encode("utf8")

    @classmethod
    def load(cls, data: bytes) -> "Reply":
        """RETURNS (Reply): what `dump` gave. A ValueError, KeyError or TypeError is raised for what is damaged."""
        values = json.loads(data)
        tokens = [
            Token(str(text), float(logprob), tuple((str(other), float(value)) for other, value in others))
            for text, logprob, others in values["tokens"]
        ]
        return cls(str(values["text"]), tuple(tokens))


@dataclass
class Usage:
    """What was asked of a server, since the pipeline was loaded.

    requests (int): answers that came from the server.
    cached (int): answers that were kept from before.
    retries (int): further tries of requests.
    input_tokens (int): tokens of the prompts, as the server counted them.
    output_tokens (int): tokens of the answers.
    uncounted (int): answers for which the server gave no counts.
    prices (Mapping[str, float]): price of a million tokens, as `input` and `output`.
    """

    requests: int = 0
    cached: int = 0
    retries: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    uncounted: int = 0
    prices: Mapping[str, float] = field(default_factory=dict)

    @property
    def cost(self) -> float:
        """RETURNS (float): what the tokens cost, in the money of the prices."""
        tokens = {"input": self.input_tokens, "output": self.output_tokens}
        return sum(self.prices.get(kind, 0.0) * count for kind, count in tokens.items()) / 1e6

    def count(self, usage: object) -> None:
        """usage (object): what an answer says of its tokens."""
        counts = usage if isinstance(usage, dict) else {}
        given = [counts.get("prompt_tokens"), counts.get("completion_tokens")]
        self.requests += 1
        self.uncounted += not all(isinstance(number, int) for number in given)
        self.input_tokens += given[0] if isinstance(given[0], int) else 0
        self.output_tokens += given[1] if isinstance(given[1], int) else 0


class Kept:
    """Answers by the content of their question.

    folder (Optional[Path]): where they are kept, one file each; in memory alone where None. The files hold answers and
        hashes, no texts of documents.
    """

    def __init__(self, folder: Optional[Path]) -> None:
        self.folder = folder
        self._held: OrderedDict[str, Reply] = OrderedDict()
        self._warned = False

    @staticmethod
    def key(content: object) -> str:
        """RETURNS (str): sha256 of a question with all that its answer depends on."""
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode("utf8")).hexdigest()

    def get(self, key: str) -> Optional[Reply]:
        """RETURNS (Optional[Reply]): the answer; None where there is none, or its file is damaged."""
        if key in self._held or self.folder is None:
            return self._held.get(key)
        try:
            return self._hold(key, Reply.load(_file(self.folder, key).read_bytes()))
        except (OSError, ValueError, KeyError, TypeError):  # it is asked for again, and written anew
            return None

    def put(self, key: str, reply: Reply) -> None:
        """Keep an answer. Where the folder can't be written to, that is said once.

        key (str): from `key`.
        reply (Reply): the answer.
        """
        self._hold(key, reply)
        if self.folder is None:
            return
        try:
            with atomic_write(_file(self.folder, key)) as file:
                file.write(reply.dump())
        except OSError as error:
            if not self._warned:
                self._warned = True
                warnings.warn(Warnings.W705.format(folder=self.folder, problem=error), stacklevel=2)

    def _hold(self, key: str, reply: Reply) -> Reply:
        self._held[key] = reply
        if len(self._held) > _HELD:
            self._held.popitem(last=False)
        return reply


def _file(folder: Path, key: str) -> Path:
    return folder / key[:2] / f"{key}.json"


def read_tokens(logprobs: object) -> Tuple[Token, ...]:
    """logprobs (object): what a choice of a chat completion has under this key.
    RETURNS (Tuple[Token, ...]): the tokens; none where the server gives none, or in another form.
    """
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    found: List[Token] = []
    for item in content if isinstance(content, list) else ():
        try:
            others = item.get("top_logprobs") or []
            near = tuple((str(other["token"]), float(other["logprob"])) for other in others)
            # Only short tokens are answers: what else might have stood there takes room and says nothing.
            token = str(item["token"])
            found.append(Token(token, float(item["logprob"]), near if len(token.strip()) <= 6 else ()))
        except (AttributeError, KeyError, TypeError, ValueError):
            return ()
    return tuple(found)
