"""Encoders for scoring pairs of entities: a plain Hugging Face encoder that reads documents with marked mentions.

Every mention stands between two markers, as in ATLOP (arXiv 2010.11304), and the first marker stands for it. A document
that is longer than the encoder's window is read in windows that overlap; what several windows say of a piece is
averaged.
"""

import base64
import hashlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from spacy.tokens import Doc

from ...errors import Errors
from ...llm.adapters.lora import LoraSettings, add_lora
from ...llm.runtime.openvino import TORCH, Compiler
from ...llm.tokens import TextTokens, special_tokens
from ...registry import registry
from ...retrieval.loading import load_encoder, locate_encoder, only_encoder
from ...training.devices import check_device, place
from ...training.tensors import plain_tensors
from .context_pooling import SPECIALS, Encoded

if TYPE_CHECKING:
    import torch
    from torch import Tensor

MIN_WINDOW = 16


class PairInput(NamedTuple):
    """A document and the entities to pair.

    doc (Doc): the document.
    clusters (List[List[Tuple[int, int]]]): for each entity the token offsets of its mentions; none is empty.
    types (List[str]): entity types, or "".
    """

    doc: Doc
    clusters: List[List[Tuple[int, int]]]
    types: List[str]


@registry.architectures("ragre.HuggingFaceEncoder.v1")
def create_huggingface_encoder(
    name: str = "all-MiniLM-L6-v2",
    window: int = 512,
    overlap: int = 128,
    marker: str = "*",
    lora: Optional[Dict[str, Any]] = None,
    batch_tokens: int = 4096,
    device: str = "auto",
    engine: str = TORCH,
    freeze_words: bool = False,
    weights: Optional[str] = None,
) -> "HuggingFaceEncoder":
    """Registered maker of `HuggingFaceEncoder`; see there for the arguments."""
    return HuggingFaceEncoder(
        name,
        window=window,
        overlap=overlap,
        marker=marker,
        lora=lora,
        batch_tokens=batch_tokens,
        device=device,
        engine=engine,
        freeze_words=freeze_words,
        weights=weights,
    )


class _Window(NamedTuple):
    """A part of a document that is read at once: pieces from `start` to `end`."""

    doc: int
    start: int
    end: int


class _Pieces(NamedTuple):
    """A document in word pieces.

    ids (List[int]): the pieces, markers among them, without special ones.
    starts (Dict[int, int]): the place of the marker before a mention, by the mention's first token.
    """

    ids: List[int]
    starts: Dict[int, int]


class HuggingFaceEncoder:
    """Reads documents with any Hugging Face encoder. Weights load at first use.

    name (str): a local folder, the name of an embedded model or a hub id.
    window (int): pieces that are read at once, special ones counted; never more than the model's own limit.
    overlap (int): pieces that two windows share.
    marker (str): stands before and after each mention; "" for none.
    lora (Optional[Mapping[str, Any]]): train low-rank adapters with these settings of `LoraSettings`, and not all
        weights.
    batch_tokens (int): most pieces of a batch, padding included.
    device (str): torch's name of a device, or "auto".
    engine (str): what computes predictions on a CPU: "torch", "openvino" or "openvino-int8" (see `engines`).
    freeze_words (bool): keep the word embeddings as they are and train all other weights, of which only the
        differences from the model named are saved. The adapters of `lora` leave all weights as they are anyway.
    weights (Optional[str]): what training starts from: null for the model as it was published; "open" for the encoder
        of the reader of open labels that comes with the package, an all-MiniLM-L6-v2 that has learned from relations,
        or a folder with such weights.
    """

    def __init__(
        self,
        name: str,
        *,
        window: int = 512,
        overlap: int = 128,
        marker: str = "*",
        lora: Optional[Mapping[str, Any]] = None,
        batch_tokens: int = 4096,
        device: str = "auto",
        engine: str = TORCH,
        freeze_words: bool = False,
        weights: Optional[str] = None,
    ) -> None:
        if freeze_words and lora is not None:
            raise ValueError(Errors.R650.format(lora=dict(lora)))
        if weights is not None and lora is not None:
            raise ValueError(Errors.R667.format(lora=dict(lora), weights=weights))
        if window < MIN_WINDOW or not 0 <= overlap <= window // 2:
            raise ValueError(Errors.R151.format(window=window, overlap=overlap, least=MIN_WINDOW))
        self.name = str(name)
        self.window = window
        self.overlap = overlap
        self.marker = marker
        self.lora = None if lora is None else LoraSettings.from_config(lora)
        self.batch_tokens = batch_tokens
        self.device = check_device(device)
        self.freeze_words = freeze_words
        self.weights = weights
        self._compiler = Compiler(engine)
        self._model: Any = None
        self._tokenizer: Any = None
        self._base_hash = ""

    # Weights

    @property
    def is_loaded(self) -> bool:
        """RETURNS (bool): whether the weights are in memory."""
        return self._model is not None

    @property
    def model(self) -> Any:
        """RETURNS (torch.nn.Module): the model, loaded now if it was not."""
        if self._model is None:
            self._set(*self._load_base())
        return self._model

    @plain_tensors
    def _load_base(self) -> Tuple[Any, Any]:
        """RETURNS (Tuple[PreTrainedModel, PreTrainedTokenizerBase]): the model named, as it was published."""
        # Attentions are needed, which fused kernels don't give.
        return load_encoder(locate_encoder(self.name), self.name, attn_implementation="eager")

    @property
    def _needs_base(self) -> bool:
        """Whether what is saved belongs to the model named, and is not the whole model."""
        return self.lora is not None or self.freeze_words

    @property
    def width(self) -> int:
        """RETURNS (int): width of a state."""
        return int(self.model.config.hidden_size)

    @property
    def torch_device(self) -> "torch.device":
        """RETURNS (torch.device): where the weights are."""
        parameter: torch.nn.Parameter = next(self.model.parameters())
        return parameter.device

    def _set(self, model: Any, tokenizer: Any) -> None:
        self._model, self._tokenizer = place(model, self.device, self.name), tokenizer
        self._text = TextTokens(tokenizer)
        self._before, self._after = special_tokens(tokenizer)
        if self._needs_base:
            self._base_hash = _hash(model.state_dict())
        if self.lora is not None:
            self._model = add_lora(self._model, self.lora)
        elif self.freeze_words:
            self._model.get_input_embeddings().requires_grad_(False)

    def start(self) -> None:
        """Take the weights that training starts from."""
        self._reset()
        if self.weights is not None:
            self._take_reader(self.weights)

    def _reset(self) -> None:
        self._model = None

    def _take_reader(self, weights: str) -> None:
        """Take the encoder of a reader of open labels. Raises a ValueError where it is of another model."""
        from ..relations.open_encoder import WORDS, BertEncoder, to_bert
        from ..relations.open_scorer import OpenScorer

        reader = OpenScorer(weights).reader.model
        # Either may be on a GPU.
        own, state = (
            {name: value.detach().cpu() for name, value in module.state_dict().items()}
            for module in (reader, self.model)
        )
        words = self.model.get_input_embeddings().weight.detach().cpu()
        if not isinstance(reader, BertEncoder) or not own[WORDS].equal(words):
            raise ValueError(Errors.R668.format(weights=weights, name=self.name))
        self.model.load_state_dict({**state, **to_bert(own, state)})

    def parameters(self) -> "Dict[str, torch.nn.Parameter]":
        """RETURNS (Dict[str, torch.nn.Parameter]): what is trained, by name."""
        return {name: value for name, value in self.model.named_parameters() if value.requires_grad}

    def state(self) -> "Tuple[Dict[str, Tensor], Dict[str, str]]":
        """RETURNS (Tuple[Dict[str, torch.Tensor], Dict[str, str]]): what must be saved: with LoRA, the adapter and the
        hash of its base; with `freeze_words`, how the other weights differ from the base, and its hash; else all
        weights, the configuration and the tokenizer, so that no base model is needed.
        """
        tensors: Dict[str, Tensor]
        if self._needs_base:
            tensors = dict(self.parameters())
            if self.lora is None:
                base = self._load_base()[0].state_dict()
                tensors = {name: value.detach().cpu() - base[name] for name, value in tensors.items()}
            info = {"base": json.dumps({"name": self.name, "hash": self._base_hash})}
        else:
            tensors = self.model.state_dict()
            # Where it came from is left out: it may be a folder of this machine.
            config = {key: value for key, value in self.model.config.to_dict().items() if key != "_name_or_path"}
            info = {"config": json.dumps(config, sort_keys=True), "tokenizer": _pack(self._tokenizer)}
        return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}, info

    def load_state(self, tensors: Mapping[str, "Tensor"], info: Mapping[str, str]) -> None:
        """Take what `state` gave. Raises a ValueError where it does not fit."""
        import torch

        if self._needs_base:
            base = json.loads(info.get("base", "{}"))
            self._reset()
            if self.model is not None and base.get("hash") != self._base_hash:
                trained_hash, base_hash = str(base.get("hash"))[:12], self._base_hash[:12]
                values = {"trained": base.get("name"), "trained_hash": trained_hash}
                raise ValueError(Errors.R107.format(**values, base=self.name, base_hash=base_hash))
            own = self.parameters()
            if {n: t.shape for n, t in own.items()} != {n: t.shape for n, t in tensors.items()}:
                raise ValueError(Errors.R150.format(problem="of other LoRA settings, or of another freeze_words"))
            with torch.no_grad():
                for name, parameter in own.items():
                    change = tensors[name].to(parameter.device)
                    parameter.copy_(change if self.lora is not None else parameter + change)
            return
        if "config" not in info or "tokenizer" not in info:
            raise ValueError(
                Errors.R150.format(problem="of a filter with lora or freeze_words, which this one has not")
            )
        model, tokenizer = _rebuild(info)
        try:
            model.load_state_dict(dict(tensors))
        except RuntimeError as error:
            raise ValueError(Errors.R150.format(problem=f"damaged ({error})")) from error
        self._set(model, tokenizer)

    # Reading

    def read(self, inputs: Sequence[PairInput], training: bool) -> Encoded:
        """inputs (Sequence[PairInput]): the documents, each with at least one entity.
        training (bool): use dropout.
        RETURNS (Encoded): their states and attentions, with gradients where these are enabled.
        """
        import torch

        self.model.train(training)
        device = self.torch_device
        pieces = [self._pieces(item) for item in inputs]
        places = [[[p.starts[start] for start, _ in c] for c in item.clusters] for item, p in zip(inputs, pieces)]
        length = SPECIALS + max(len(p.ids) for p in pieces)
        windows = [_Window(i, *window) for i, p in enumerate(pieces) for window in self._windows(len(p.ids))]
        windows.sort(key=lambda window: window.start - window.end)
        around = len(self._before) + len(self._after)
        longest = windows[0].end - windows[0].start + around
        rows = _Rows(places, windows, len(self._before))
        total = torch.zeros((len(inputs) * (length + 1), self.width), device=device)
        counts = torch.zeros(len(inputs) * (length + 1), device=device)
        parts, all_columns = [], []
        for first, last in self._batches(windows, around):
            batch = windows[first:last]
            ids, columns = self._fill(batch, pieces, length)
            mask = columns < length
            hidden, attentions = self._read(ids.to(device), mask.long().to(device))
            columns = columns.to(device)
            docs = torch.tensor([window.doc for window in batch], device=device).unsqueeze(1)
            flat = (docs * (length + 1) + columns).flatten()
            total = total.index_add(0, flat, hidden.flatten(0, 1).float())
            counts.index_add_(0, flat, torch.ones_like(flat, dtype=counts.dtype))
            chosen = rows.of(first, last)
            window_index = torch.as_tensor(rows.window[chosen] - first, device=device)
            attention = attentions[window_index, :, torch.as_tensor(rows.row[chosen], device=device)]
            missing = longest - columns.shape[1]
            parts.append(torch.nn.functional.pad(attention.float(), (0, missing)))
            all_columns.append(torch.nn.functional.pad(columns[window_index], (0, missing), value=length))
        hidden = total / counts.clamp(min=1).unsqueeze(1)
        return Encoded(
            hidden=hidden.view(len(inputs), length + 1, -1)[:, :length],
            rows=torch.cat(parts),
            columns=torch.cat(all_columns),
            row_doc=rows.doc,
            row_entity=rows.entity,
            row_weight=rows.weight,
            row_start=rows.start + SPECIALS,
            row_end=rows.end + SPECIALS,
            starts=pad_starts([[[p + SPECIALS for p in c] for c in clusters] for clusters in places]).to(device),
        )

    def _read(self, ids: "Tensor", mask: "Tensor") -> "Tuple[Tensor, Tensor]":
        """RETURNS (Tuple[torch.Tensor, torch.Tensor]): hidden states, *Shape* (windows, pieces, width), and the last
        layer's attentions, *Shape* (windows, heads, pieces, pieces).
        """
        if self._compiler.applies() and not self.model.training:
            hidden, attentions = self._compiler.encoder(self.model, self.name, attentions=True)(ids, mask)
            return hidden, attentions
        output = self.model(input_ids=ids, attention_mask=mask, output_attentions=True)
        return output.last_hidden_state, output.attentions[-1]

    def _pieces(self, item: PairInput) -> _Pieces:
        # A marker is the user's own, and may be a special token; the words of a document are never one.
        marker = self._tokenizer(f" {self.marker}", add_special_tokens=False)["input_ids"] if self.marker else ()
        firsts = {start for cluster in item.clusters for start, _ in cluster}
        ends = {end for cluster in item.clusters for _, end in cluster}
        ids: List[int] = []
        starts: Dict[int, int] = {}
        space = before = ""
        for token in item.doc:
            if token.i in ends:
                ids.extend(marker)
            if token.i in firsts:
                starts[token.i] = len(ids)
                ids.extend(marker)
            ids.extend(self._text.ids(space + token.text, before))
            space, before = " " if token.whitespace_ else "", "."
        if len(item.doc) in ends:
            ids.extend(marker)
        if not ids or max(starts.values(), default=0) >= len(ids):
            # Without markers, a mention of whitespace may have no pieces: the text gets one more for it to stand on.
            ids.append(self._tokenizer.unk_token_id or 0)
        return _Pieces(ids, starts)

    def _windows(self, length: int) -> Iterator[Tuple[int, int]]:
        """YIELDS (Tuple[int, int]): windows of a text of so many pieces. All but the only one are full."""
        limits = (self.window, self._tokenizer.model_max_length, self._limit())
        size = min(limits) - len(self._before) - len(self._after)
        start = 0
        while start + size < length:
            yield start, start + size
            start += max(1, size - min(self.overlap, size // 2))
        yield max(0, length - size), length

    def _limit(self) -> int:
        """The most pieces that the model has positions for."""
        limit = getattr(self.model.config, "max_position_embeddings", None) or self.window
        # RoBERTa's positions begin behind that of padding.
        offset = (self.model.config.pad_token_id or 0) + 1 if "roberta" in self.model.config.model_type else 0
        return limit - offset if limit > 0 else self.window

    def _batches(self, windows: Sequence[_Window], around: int) -> Iterator[Tuple[int, int]]:
        first = 0
        while first < len(windows):
            # Sorted, so that the first is the longest.
            size = windows[first].end - windows[first].start + around
            last = min(len(windows), first + max(1, self.batch_tokens // size))
            yield first, last
            first = last

    def _fill(self, windows: Sequence[_Window], pieces: Sequence[_Pieces], length: int) -> "Tuple[Tensor, Tensor]":
        """RETURNS (Tuple[torch.Tensor, torch.Tensor]): piece ids, and their positions in their documents, `length` for
        padding; both *Shape* (windows, pieces).
        """
        import torch

        before, after = len(self._before), len(self._after)
        longest = windows[0].end - windows[0].start + before + after
        ids = np.full((len(windows), longest), self._tokenizer.pad_token_id or 0)
        columns = np.full((len(windows), longest), length)
        for i, window in enumerate(windows):
            end = before + window.end - window.start
            ids[i, : end + after] = [*self._before, *pieces[window.doc].ids[window.start : window.end], *self._after]
            columns[i, :before] = 0
            columns[i, before:end] = np.arange(window.start, window.end) + SPECIALS
            columns[i, end : end + after] = 1
        return torch.from_numpy(ids), torch.from_numpy(columns)


class _Rows:
    """Which rows of the windows' attentions belong to which mentions, in the order of the windows.

    places (Sequence[Sequence[Sequence[int]]]): for each document and entity its mentions' places.
    windows (Sequence[_Window]): the windows.
    before (int): special pieces before a window's text.
    """

    def __init__(self, places: Sequence[Sequence[Sequence[int]]], windows: Sequence[_Window], before: int) -> None:
        flat = [np.array([p for c in clusters for p in c], dtype="int64") for clusters in places]
        owner = [np.repeat(np.arange(len(clusters)), [len(c) for c in clusters]) for clusters in places]
        mentions = [np.array([len(c) for c in clusters], dtype="float64") for clusters in places]
        seen = [np.zeros(len(p)) for p in flat]
        found = []
        for window in windows:
            inside = np.flatnonzero((flat[window.doc] >= window.start) & (flat[window.doc] < window.end))
            seen[window.doc][inside] += 1
            found.append(inside)
        sizes = [len(inside) for inside in found]

        def each(values: Sequence[int]) -> np.ndarray:
            return np.repeat(np.array(values, dtype="int64"), sizes)

        def gather(make: Any) -> np.ndarray:
            return np.concatenate([make(window, inside) for window, inside in zip(windows, found)])

        self.window = each(range(len(windows)))
        self.doc = each([window.doc for window in windows])
        self.start = each([window.start for window in windows])
        self.end = each([window.end for window in windows])
        self.row = gather(lambda w, inside: flat[w.doc][inside] - w.start + before)
        self.entity = gather(lambda w, inside: owner[w.doc][inside])
        self.weight = gather(lambda w, inside: 1 / seen[w.doc][inside] / mentions[w.doc][owner[w.doc][inside]])

    def of(self, first: int, last: int) -> np.ndarray:
        """RETURNS (np.ndarray): indexes of the rows of some windows."""
        return np.flatnonzero((self.window >= first) & (self.window < last))


def pad_starts(starts: Sequence[Sequence[Sequence[int]]]) -> "Tensor":
    """starts (Sequence[Sequence[Sequence[int]]]): for each document and entity the positions of its mentions.
    RETURNS (torch.Tensor): the same, int64, padded with -1, *Shape* (docs, entities, mentions).
    """
    import torch

    most = max((len(cluster) for clusters in starts for cluster in clusters), default=0)
    result = np.full((len(starts), max(map(len, starts), default=0), most), -1)
    for i, clusters in enumerate(starts):
        for j, cluster in enumerate(clusters):
            result[i, j, : len(cluster)] = cluster
    return torch.from_numpy(result)


def _hash(state: Mapping[str, "Tensor"]) -> str:
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _pack(tokenizer: Any) -> str:
    """A tokenizer's files as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        files = {path.name: base64.b64encode(path.read_bytes()).decode() for path in sorted(Path(folder).iterdir())}
    return json.dumps(files)


def _rebuild(info: Mapping[str, str]) -> Tuple[Any, Any]:
    """Model, with random weights, and tokenizer from what `HuggingFaceEncoder.state` gave."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    with tempfile.TemporaryDirectory() as folder:
        for name, data in json.loads(info["tokenizer"]).items():
            (Path(folder) / Path(name).name).write_bytes(base64.b64decode(data))
        (Path(folder) / "config.json").write_text(info["config"], encoding="utf8")
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    model = AutoModel.from_config(config, attn_implementation="eager", trust_remote_code=False)
    return only_encoder(model, tokenizer)
