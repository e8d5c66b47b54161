"""Encoders: what turns an instance into the key by which it is found.

`TextEncoder` reads the text with any Hugging Face encoder. `DualEncoder` has one model for queries and another for
examples. Other encoders, such as a backbone that gives its own hidden state, follow the `Encoder` protocol.
"""

import hashlib
import json
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    List,
    Literal,
    Optional,
    Protocol,
    Sequence,
    Union,
    get_args,
    runtime_checkable,
)

import numpy as np

from ..errors import Errors
from ..instances import Instance
from ..llm.runtime.openvino import TORCH, Compiler
from ..llm.tokens import TextTokens, special_tokens
from ..registry import registry
from ..training.devices import check_device, place
from ..training.tensors import plain_tensors
from .loading import load_encoder, locate_encoder
from .pooling import pool
from .sentence_files import OwnSettings, read_own_settings
from .texts import mark_mentions, with_response

if TYPE_CHECKING:
    from torch import Tensor
    from transformers.modeling_utils import PreTrainedModel

Pooling = Literal["auto", "mean", "cls", "max", "last"]
TextKind = Literal["sentence", "marked", "response"]

WEIGHTS = "model.safetensors"
SETTINGS = "encoder.json"
SAVED = ("pooling", "text", "query_prefix", "passage_prefix", "max_length", "end_token")
# Texts that are sorted by length together; enough for even batches, and bounded for stores of millions.
_WINDOW = 32


@runtime_checkable
class Encoder(Protocol):
    """What a retriever needs of an encoder.

    width (int): the keys' width.
    fingerprint (str): a hash of the weights and of every setting that changes the keys. A store made by an encoder
        of another fingerprint is refused.
    """

    @property
    def width(self) -> int: ...

    @property
    def fingerprint(self) -> str: ...

    def encode_queries(self, instances: Sequence[Instance]) -> np.ndarray:
        """RETURNS (np.ndarray): unit vectors, float32. *Shape* (len(instances), width)."""
        ...

    def encode_examples(self, instances: Sequence[Instance]) -> np.ndarray:
        """RETURNS (np.ndarray): unit vectors, float32. *Shape* (len(instances), width)."""
        ...

    def to_disk(self, path: Path) -> None:
        """Save the weights where they were tuned; do nothing where they are as they were published."""
        ...

    def from_disk(self, path: Path) -> Any:
        """Load what `to_disk` saved; do nothing where it saved nothing."""
        ...


@registry.ragre_encoders("ragre.TextEncoder.v1")
def create_text_encoder(
    name: str = "all-MiniLM-L6-v2",
    pooling: Pooling = "auto",
    text: TextKind = "sentence",
    query_prefix: Optional[str] = None,
    passage_prefix: Optional[str] = None,
    max_length: int = 256,
    batch_size: int = 64,
    device: str = "auto",
    end_token: bool = False,
    engine: str = TORCH,
) -> "TextEncoder":
    """Registered maker of `TextEncoder`; see there for the arguments."""
    return TextEncoder(
        name=name,
        pooling=pooling,
        text=text,
        query_prefix=query_prefix,
        passage_prefix=passage_prefix,
        max_length=max_length,
        batch_size=batch_size,
        device=device,
        end_token=end_token,
        engine=engine,
    )


@registry.ragre_encoders("ragre.DualEncoder.v1")
def create_dual_encoder(
    query: str = "ncbi/MedCPT-Query-Encoder",
    passage: str = "ncbi/MedCPT-Article-Encoder",
    pooling: Pooling = "cls",
    text: TextKind = "sentence",
    query_prefix: str = "",
    passage_prefix: str = "",
    query_max_length: int = 256,
    passage_max_length: int = 512,
    batch_size: int = 64,
    device: str = "auto",
    engine: str = TORCH,
) -> "DualEncoder":
    """Registered maker of `DualEncoder`.

    query (str): the model that encodes queries: a folder, an embedded model's name or a hub id.
    passage (str): the model that encodes examples, of the same width.
    query_max_length (int): word pieces read of a query.
    passage_max_length (int): word pieces read of an example.

    The other arguments are those of `TextEncoder`, for both models.
    """

    def make(name: str, max_length: int) -> "TextEncoder":
        prefixes = (query_prefix, passage_prefix)
        return create_text_encoder(name, pooling, text, *prefixes, max_length, batch_size, device, engine=engine)

    return DualEncoder(make(query, query_max_length), make(passage, passage_max_length))


class TextEncoder:
    """Encodes the text of an instance with a Hugging Face encoder. Weights load at first use.

    name (str): a local folder, the name of an embedded model (`spacy_ragre.bundled`) or a hub id.
    pooling (str): `mean` or `max` of all word pieces, the first piece (`cls`) or the last one (`last`); `auto` for what
        the model's own files say (`sentence_files`), and the mean where they say nothing.
    text (str): `sentence` reads the text as it is, so that all pairs of a sentence have one key; `marked` reads it
        with both mentions marked; `response` reads an example's text with its response after it, and a query's text
        alone, as RAMIE does (arXiv 2411.15700).
    query_prefix (Optional[str]): put before the text of a query, such as "query: "; the model's own where None.
    passage_prefix (Optional[str]): put before the text of an example, such as "passage: "; the model's own where None.
    max_length (int): word pieces read of a text, special ones counted; never more than the model's window.
    batch_size (int): texts in one forward pass.
    device (str): torch's name of a device, or `auto`.
    end_token (bool): end each text with the tokenizer's end token, as decoders that became encoders were trained to
        read; its state is then what `last` pools.
    engine (str): what computes on a CPU: "torch", "openvino" or "openvino-int8" (see `engines`). Tuning is torch's.
    """

    def __init__(
        self,
        name: str = "all-MiniLM-L6-v2",
        *,
        pooling: Pooling = "auto",
        text: TextKind = "sentence",
        query_prefix: Optional[str] = None,
        passage_prefix: Optional[str] = None,
        max_length: int = 256,
        batch_size: int = 64,
        device: str = "auto",
        end_token: bool = False,
        engine: str = TORCH,
    ) -> None:
        self.name = name
        self.pooling = pooling
        self.text = text
        self.query_prefix = query_prefix
        self.passage_prefix = passage_prefix
        self.max_length = max_length
        self.batch_size = batch_size
        self.device = check_device(device)
        self.end_token = end_token
        self.tuned = False
        self._compiler = Compiler(engine)
        self._model: Any = None
        self._tokenizer: Any = None
        self._weights_hash: Optional[str] = None
        self._own: Optional[OwnSettings] = None
        self._check()

    def _check(self) -> None:
        problems = {}
        for setting, allowed in (("pooling", get_args(Pooling)), ("text", get_args(TextKind))):
            if getattr(self, setting) not in allowed:
                problems[setting] = "use one of " + ", ".join(map(repr, allowed))
        for setting, least in (("max_length", 3), ("batch_size", 1)):
            if getattr(self, setting) < least:
                problems[setting] = f"use at least {least}"
        for setting, expected in problems.items():
            values = {"setting": setting, "value": getattr(self, setting), "expected": expected}
            raise ValueError(Errors.R202.format(what="the encoder", **values))

    @property
    def settings(self) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): the settings that change the keys, as plain data."""
        own = self._own_settings()
        return {key: getattr(own if hasattr(own, key) else self, key) for key in SAVED}

    def _own_settings(self) -> OwnSettings:
        """RETURNS (OwnSettings): pooling and prefixes, those of the model where none are set."""
        if self._own is None:
            own, given = OwnSettings(), (self.pooling, self.query_prefix, self.passage_prefix)
            asked = self.pooling == "auto"
            if asked or None in given:
                own = read_own_settings(locate_encoder(self.name), self.name, pooling=asked)
            self._own = OwnSettings(*(have if want in (None, "auto") else want for want, have in zip(given, own)))
        return self._own

    @property
    def width(self) -> int:
        """RETURNS (int): the model's hidden size. Reads its configuration; loads no weights."""
        if self._model is not None:
            return int(self._model.config.hidden_size)
        from transformers import AutoConfig

        source = locate_encoder(self.name)
        try:
            return int(AutoConfig.from_pretrained(source, trust_remote_code=False).hidden_size)
        except (OSError, ValueError) as error:
            raise OSError(Errors.R201.format(name=self.name, reason=error)) from error

    @property
    def fingerprint(self) -> str:
        """RETURNS (str): sha256 over the weight files and the settings that change the keys."""
        if self._weights_hash is None:
            digest = hashlib.sha256()
            for chunk in [self._weights()] if self.tuned else self._weight_files():
                digest.update(chunk)
            self._weights_hash = digest.hexdigest()
        settings = json.dumps(self.settings, sort_keys=True)
        return hashlib.sha256(f"{self._weights_hash}:{settings}".encode()).hexdigest()

    @property
    def model(self) -> Any:
        """RETURNS (transformers.PreTrainedModel): the model, in evaluation mode; loaded where it was not."""
        self._ensure_loaded()
        return self._model

    @property
    def tokenizer(self) -> Any:
        """RETURNS (transformers.PreTrainedTokenizerBase): the tokenizer; loaded where it was not."""
        self._ensure_loaded()
        return self._tokenizer

    @plain_tensors
    def _ensure_loaded(self) -> None:
        if self._model is None:
            model, self._tokenizer = load_encoder(locate_encoder(self.name), self.name)
            self._model = place(model, self.device, self.name)

    def encode_queries(self, instances: Sequence[Instance]) -> np.ndarray:
        """Encode what is looked for.

        instances (Sequence[Instance]): the queries.
        RETURNS (np.ndarray): unit vectors, float32. *Shape* (len(instances), width).
        """
        return self._encode([self._own_settings().query_prefix + self.read(instance) for instance in instances])

    def encode_examples(self, instances: Sequence[Instance]) -> np.ndarray:
        """Encode what is found.

        instances (Sequence[Instance]): the examples.
        RETURNS (np.ndarray): unit vectors, float32. *Shape* (len(instances), width).
        """
        read = with_response if self.text == "response" else self.read
        return self._encode([self._own_settings().passage_prefix + read(instance) for instance in instances])

    @property
    def reads_mentions(self) -> bool:
        """RETURNS (bool): whether the key of a query depends on more than its text."""
        return self.text == "marked"

    def read(self, instance: Instance) -> str:
        """RETURNS (str): the text of a query that is encoded, without a prefix."""
        return mark_mentions(instance) if self.reads_mentions else instance.text

    def _encode(self, texts: Sequence[str]) -> np.ndarray:
        import torch

        # All pairs of a sentence may have one text, which is read once.
        unique = list(dict.fromkeys(texts))
        keys = np.zeros((len(unique), self.width), dtype="float32")
        for start in range(0, len(unique), _WINDOW * self.batch_size):
            token_ids = self.tokenise(unique[start : start + _WINDOW * self.batch_size])
            order = sorted(range(len(token_ids)), key=lambda i: -len(token_ids[i]))
            for i in range(0, len(order), self.batch_size):
                rows = order[i : i + self.batch_size]
                with torch.no_grad():
                    vectors = self.forward([token_ids[row] for row in rows])
                keys[[start + row for row in rows]] = vectors.cpu().numpy()
        index = {text: i for i, text in enumerate(unique)}
        return keys[[index[text] for text in texts]]

    def tokenise(self, texts: Sequence[str]) -> List[List[int]]:
        """RETURNS (List[List[int]]): word piece ids with the special ones, cut at the window."""
        if not texts:
            return []
        window = getattr(self.model.config, "max_position_embeddings", None) or self.max_length
        text, (before, after) = TextTokens(self.tokenizer), special_tokens(self.tokenizer)
        end = self.tokenizer.eos_token_id
        closing = (*after, *([end] if self.end_token and end is not None else []))
        limit = min(self.max_length, self.tokenizer.model_max_length, window) - len(before) - len(closing)
        rows = ([*before, *text.ids(value)[:limit], *closing] for value in texts)
        # Decoders add no special pieces, so that an empty text would be an empty sequence.
        return [row or [self.tokenizer.pad_token_id or 0] for row in rows]

    def forward(self, token_ids: Sequence[Sequence[int]]) -> "Tensor":
        """Encode a batch.

        token_ids (Sequence[Sequence[int]]): word piece ids of each text.
        RETURNS (torch.Tensor): unit vectors on the model's device. *Shape* (len(token_ids), width).
        """
        import torch

        longest = max(map(len, token_ids))
        pad = self.tokenizer.pad_token_id or 0
        ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in token_ids], device=self.model.device)
        lengths = torch.tensor([len(row) for row in token_ids], device=self.model.device)
        mask = (torch.arange(longest, device=self.model.device) < lengths.unsqueeze(1)).long()
        if self._compiler.applies():
            (hidden,) = self._compiler.encoder(self.model, self.name)(ids, mask)
        else:
            hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        return pool(hidden, mask, self._own_settings().pooling)

    def with_model(self, model: "PreTrainedModel", *, text: TextKind) -> "TextEncoder":
        """Make an encoder of tuned weights, with this one's tokenizer and settings.

        model (transformers.PreTrainedModel): the tuned model.
        text (str): the text that it was tuned on.
        RETURNS (TextEncoder): the encoder; `to_disk` saves its weights.
        """
        result = TextEncoder(
            self.name,
            **{**self.settings, "text": text},
            batch_size=self.batch_size,
            device=self.device,
            engine=self._compiler.engine,
        )
        result._model, result._tokenizer, result.tuned = model.eval(), self.tokenizer, True
        return result

    def mark_tuned(self) -> None:
        """Say that the weights were changed in place, so that the fingerprint is made anew."""
        self.tuned = True
        self._weights_hash = None

    def reset(self) -> None:
        """Forget tuned weights. The model as it was published loads at the next use."""
        self._model = self._tokenizer = self._weights_hash = None
        self.tuned = False

    def to_disk(self, path: Union[str, Path]) -> None:
        """Save tuned weights with all that is needed to load them; untouched weights are not saved.

        path (Union[str, Path]): the folder, made where it does not exist.
        """
        if not self.tuned:
            return
        path = Path(path)
        path.mkdir(parents=True, exist_ok=True)
        self.model.config.save_pretrained(path)
        self.tokenizer.save_pretrained(path)
        (path / SETTINGS).write_text(json.dumps(self.settings, sort_keys=True), encoding="utf8")
        (path / WEIGHTS).write_bytes(self._weights())

    def from_disk(self, path: Union[str, Path]) -> "TextEncoder":
        """Load what `to_disk` saved: tuned weights and the settings that they were tuned with.

        path (Union[str, Path]): the folder. Where it holds no weights, nothing changes.
        RETURNS (TextEncoder): the encoder itself.
        """
        path = Path(path)
        if not (path / WEIGHTS).exists():
            return self
        settings = _read_settings(path / SETTINGS)
        model, self._tokenizer = load_encoder(path, str(path))
        self._model = place(model, self.device, self.name)
        for key, value in settings.items():
            setattr(self, key, value)
        self._own = None
        self._check()
        self.tuned = True
        self._weights_hash = None
        return self

    def __getstate__(self) -> Dict[str, Any]:
        # Untouched weights are loaded again where they are needed, so that a copy sent to a process stays small.
        state = dict(self.__dict__)
        if not self.tuned:
            state["_model"] = state["_tokenizer"] = None
        return state

    def _weights(self) -> bytes:
        from safetensors.torch import save

        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.model.state_dict().items()}
        return save(tensors, metadata={"format": "pt"})

    def _weight_files(self) -> Any:
        folder = locate_encoder(self.name)
        if not isinstance(folder, Path):
            from transformers.utils.hub import cached_file

            # Brings the files of a hub id into the cache.
            self._ensure_loaded()
            folder = Path(str(cached_file(folder, "config.json"))).parent
        files = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
        if not files:
            raise OSError(Errors.R201.format(name=self.name, reason=f"{folder} holds no weights"))
        for file in files:
            with file.open("rb") as stream:
                while chunk := stream.read(1 << 20):
                    yield chunk


class DualEncoder:
    """Encodes queries with one model and examples with another, as MedCPT does (Jin et al. 2023, arXiv 2307.00589).

    MedCPT is trained on the dot product of vectors of any length; here its vectors are brought to unit length as all
    others are.

    query (TextEncoder): encodes queries.
    passage (TextEncoder): encodes examples.
    """

    def __init__(self, query: TextEncoder, passage: TextEncoder) -> None:
        self.query = query
        self.passage = passage

    @property
    def width(self) -> int:
        """RETURNS (int): the hidden size of both models. Raises a ValueError where they differ."""
        if self.query.width != self.passage.width:
            raise ValueError(
                Errors.R203.format(
                    query=self.query.name,
                    query_width=self.query.width,
                    passage=self.passage.name,
                    passage_width=self.passage.width,
                )
            )
        return self.query.width

    @property
    def fingerprint(self) -> str:
        """RETURNS (str): sha256 over the fingerprints of both."""
        return hashlib.sha256(f"{self.query.fingerprint}:{self.passage.fingerprint}".encode()).hexdigest()

    @property
    def reads_mentions(self) -> bool:
        """RETURNS (bool): whether the key of a query depends on more than its text."""
        return self.query.reads_mentions

    def encode_queries(self, instances: Sequence[Instance]) -> np.ndarray:
        """RETURNS (np.ndarray): unit vectors, float32. *Shape* (len(instances), width)."""
        return self.query.encode_queries(instances)

    def encode_examples(self, instances: Sequence[Instance]) -> np.ndarray:
        """RETURNS (np.ndarray): unit vectors, float32. *Shape* (len(instances), width)."""
        return self.passage.encode_examples(instances)

    def to_disk(self, path: Union[str, Path]) -> None:
        """path (Union[str, Path]): the folder; each model's tuned weights go into a folder inside it."""
        self.query.to_disk(Path(path) / "query")
        self.passage.to_disk(Path(path) / "passage")

    def from_disk(self, path: Union[str, Path]) -> "DualEncoder":
        """path (Union[str, Path]): the folder.
        RETURNS (DualEncoder): the encoder itself.
        """
        self.query.from_disk(Path(path) / "query")
        self.passage.from_disk(Path(path) / "passage")
        return self


def _read_settings(path: Path) -> Dict[str, Any]:
    try:
        settings = json.loads(path.read_text(encoding="utf8"))
    except (OSError, ValueError) as error:
        raise ValueError(Errors.R211.format(file=path, problem=error)) from error
    if not isinstance(settings, dict) or set(settings) != set(SAVED):
        raise ValueError(Errors.R211.format(file=path, problem=f"it needs the keys {sorted(SAVED)}"))
    return settings
