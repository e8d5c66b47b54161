"""A language model with a label head that reads retrieved instances as soft prompts, as a Thinc model.

Retrieval and answer are trained by one loss (ETRAG, arXiv 2406.03790). One query, k = 2, temperature 0.1:

    query     "[Hooli] was started by [Cara]"                      encoder -> q
    store     1 founded_by   2 founded_by   3 located_in           index   -> e1, e2, e3 (kept keys)
    similarity q.e / |q||e|   0.9   0.7   0.2
    neighbour 1, softmax      .88   .12   .00   -> vector 1 = projection(.88 e1 + .12 e2) + 1.00 label(founded_by)
    neighbour 2, softmax once what neighbour 1 took is gone
                              .00   .98   .02   -> vector 2, likewise, + .98 label(founded_by) + .02 label(located_in)
    prompt    vector 1, vector 2, the tokens of the question -> language model -> head -> logits
    votes     of the two nearest, by their weight            -> added to the logits, in prediction alone

Beyond the paper: only instances that an index found are looked at, and of those only the ones with most weight are
encoded again in a training step, so that its cost does not grow with the store; label embeddings are added; and votes
have a loss of their own, which teaches the encoder directly.
"""

import math
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Optional, Protocol, Sequence, Tuple

import numpy as np
from thinc.api import Model, Optimizer

from ...errors import Errors
from ...llm.label_model import LabelShim, forward, read_metadata
from ...registry import registry
from ...training.locks import use_own_threads
from .batch import Batch, Retrieved, Search, Selection

if TYPE_CHECKING:
    import torch

TUNING = ("lora", "full")
# The projection starts as a small addition to the labels' embeddings.
_START = 0.1
# Texts that are encoded at once: enough for efficient products of matrices, and few enough to be of similar length.
_TEXTS = 16


class TrainableEncoder(Protocol):
    """What the model needs of an encoder, such as `ragre.TextEncoder.v1`."""

    tuned: bool
    name: str

    @property
    def width(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def model(self) -> Any: ...
    def tokenise(self, texts: Sequence[str]) -> List[List[int]]: ...
    def forward(self, token_ids: Sequence[Sequence[int]]) -> "torch.Tensor": ...
    def mark_tuned(self) -> None: ...
    def reset(self) -> None: ...


@registry.architectures("ragre.ETRAG.v1")
def ETRAG(
    backbone: Any,
    encoder: TrainableEncoder,
    k: int = 4,
    prompt_length: int = 1,
    temperature: float = 0.1,
    learn_temperature: bool = True,
    train_retriever: bool = True,
    train_layers: int = 0,
    fresh: int = 16,
    vote: float = 3.0,
    label_dropout: float = 0.5,
    tuning: str = "lora",
    retriever_rate: float = 0.05,
) -> Model[Batch, np.ndarray]:
    """Build the model. Nothing is loaded before `init_head` of its shim or the first use of a saved state.

    backbone (Backbone): the language model.
    encoder (TrainableEncoder): embeds queries and instances.
    k (int): neighbours; 0 for no retrieval.
    prompt_length (int): vectors of the soft prompt for each neighbour.
    temperature (float): of the soft selection, where training starts.
    learn_temperature (bool): train the temperature.
    train_retriever (bool): train the encoder with the rest. False keeps it as it was published.
    train_layers (int): how many of the encoder's last layers are trained; 0 for all.
    fresh (int): most instances that are encoded again, with gradients, in a step of training: those with most weight.
        All others have the key that was kept.
    vote (float): what prediction adds to a class's logit where the k instances with most weight all have that class,
        and in proportion to their weight where some have it; 0 for no vote. Training does not look at it.
    label_dropout (float): the share of a training step's queries whose neighbours come without their labels, between 0
        and 1. The encoder soon knows the training sentences, and a language model that always sees the right label
        learns to repeat it, and not to read.
    tuning (str): "lora" trains an adapter of the language model, "full" all of its weights.
    retriever_rate (float): the encoder's learning rate, as a multiple of the optimizer's.
    RETURNS (Model[Batch, numpy.ndarray]): takes prompts with their soft prompts, which `retrieve` of its shim makes,
        and gives the logits, *Shape* (prompts, classes), without votes. What it gives back is the gradient of the soft
        prompts, for the shim's `begin_retrieve`.
    """
    if not 0 <= label_dropout <= 1:
        raise ValueError(Errors.R540.format(setting="label_dropout", value=label_dropout, expected="0 to 1"))
    if not temperature > 0:
        raise ValueError(Errors.R540.format(setting="temperature", value=temperature, expected="a number above 0"))
    if tuning not in TUNING:
        raise ValueError(Errors.R540.format(setting="tuning", value=tuning, expected=" or ".join(map(repr, TUNING))))
    if not hasattr(type(encoder), "mark_tuned"):  # those of two towers and those without weights can't be trained here
        expected = "a sentence encoder such as ragre.TextEncoder.v1"
        raise ValueError(Errors.R540.format(setting="encoder", value=type(encoder).__name__, expected=expected))
    settings: Dict[str, Any] = {
        "k": k,
        "prompt_length": prompt_length,
        "temperature": temperature,
        "learn_temperature": learn_temperature,
        "train_retriever": train_retriever,
        "train_layers": train_layers,
        "fresh": fresh,
        "vote": vote,
        "label_dropout": label_dropout,
        "tuning": tuning,
        "retriever_rate": retriever_rate,
    }
    for name, least in (("k", 0), ("prompt_length", 1), ("train_layers", 0), ("fresh", 0), ("vote", 0)):
        if settings[name] < least:
            raise ValueError(Errors.R540.format(setting=name, value=settings[name], expected=f"{least} or more"))
    return Model("ragre_etrag", forward, shims=[ETRAGShim(backbone, encoder, settings)])


class ETRAGShim(LabelShim):
    """Holds the torch side: language model, label head, encoder, soft selection and projection.

    backbone (Backbone): the language model.
    encoder (TrainableEncoder): embeds queries and instances.
    settings (Dict[str, Any]): the settings of `ETRAG`.
    """

    def __init__(self, backbone: Any, encoder: TrainableEncoder, settings: Dict[str, Any]) -> None:
        super().__init__(backbone)
        if settings["tuning"] == "full" and backbone.dtype_name == "auto":
            backbone.dtype_name = "float32"  # steps of an optimizer are lost in the rounding of 16 bits
        self.encoder = encoder
        self.settings = settings
        # Soft selection, projection and embeddings of the labels.
        self.reader: Any = None
        # Mean 1 - cosine of kept and fresh keys in each training step, of the instances that were encoded again.
        self.staleness: List[float] = []
        # Whether all weights of the language model may have changed.
        self._whole = False

    @property
    def k(self) -> int:
        """RETURNS (int): the number of neighbours."""
        return int(self.settings["k"])

    @property
    def trains_retriever(self) -> bool:
        """RETURNS (bool): whether the encoder is trained."""
        return self.k > 0 and self.settings["train_retriever"]

    @property
    def prompt_tokens(self) -> int:
        """RETURNS (int): the number of vectors before a prompt."""
        return self.k * int(self.settings["prompt_length"])

    # Making

    def init_head(self, words: Sequence[str]) -> None:
        """Make all parts that are trained.

        words (Sequence[str]): the words of every class.
        """
        if self.settings["tuning"] == "lora":
            super().init_head(words)
        else:
            self._init_full(words)
        if self.k:
            if self.encoder.tuned:
                self.encoder.reset()
            self._prepare_encoder()
            self.reader = self._make_reader(len(words))
            self.reader.start(self.backbone.word_embeddings(words))

    def _init_full(self, words: Sequence[str]) -> None:
        import torch

        backbone: Any = self.backbone
        if backbone.quantization is not None or backbone.dtype != torch.float32:
            problem = f"they are quantised ({backbone.quantization})" if backbone.quantization else "they have 16 bits"
            raise ValueError(Errors.R546.format(model=backbone.name, problem=problem))
        if backbone.shard:
            raise ValueError(Errors.R119.format(model=backbone.name))
        if self._whole:
            # What an earlier training left is in the weights themselves: load them again.
            backbone._model = None
        self.take(None)
        self._train_backbone()
        self.weight = torch.nn.Parameter(backbone.word_embeddings(words).clone())
        self.bias = torch.nn.Parameter(torch.zeros(len(words)))

    def _train_backbone(self) -> None:
        backbone: Any = self.backbone
        backbone.own_weights()
        backbone.model.requires_grad_(True)
        self._whole = True

    def _prepare_encoder(self) -> None:
        self.encoder.model.requires_grad_(False)
        if self.trains_retriever:
            for _, parameter in self._encoder_parameters():
                parameter.requires_grad_(True)
            self.encoder.mark_tuned()

    def _encoder_parameters(self) -> Iterator[Tuple[str, "torch.nn.Parameter"]]:
        # The table of word embeddings is half of a small encoder and sees few of its rows in training: it stays, and
        # steps of the optimizer take half the time.
        model, last = self.encoder.model, self.settings["train_layers"]
        frozen = {id(parameter) for parameter in model.get_input_embeddings().parameters()}
        trained = (
            {id(parameter) for layer in _layers(model)[-last:] for parameter in layer.parameters()} if last else None
        )
        for name, parameter in model.named_parameters():
            if id(parameter) not in frozen and (trained is None or id(parameter) in trained):
                yield name, parameter

    def _make_reader(self, classes: int) -> Any:
        from .soft_prompts import SoftPrompts

        backbone: Any = self.backbone
        return SoftPrompts(
            self.encoder.width,
            backbone.width,
            classes,
            length=self.settings["prompt_length"],
            temperature=self.settings["temperature"],
            learn_temperature=self.settings["learn_temperature"],
            start=_START,
        )

    # Retrieval

    def encode(self, texts: Sequence[str], training: bool = False) -> "torch.Tensor":
        """Embed texts.

        texts (Sequence[str]): the texts of queries or instances.
        training (bool): keep what gradients need.
        RETURNS (torch.Tensor): unit vectors, *Shape* (len(texts), key width).
        """
        import torch

        self.restore()
        use_own_threads()
        if not texts:
            return torch.zeros(0, self.encoder.width)
        token_ids = self.encoder.tokenise(texts)
        # Texts of similar length together.
        order = sorted(range(len(texts)), key=lambda i: -len(token_ids[i]))
        parts = []
        with torch.set_grad_enabled(training and self.trains_retriever), self._precision():
            for start in range(0, len(order), _TEXTS):
                parts.append(self.encoder.forward([token_ids[i] for i in order[start : start + _TEXTS]]))
        place = torch.tensor(order, device=parts[0].device).argsort()
        # Of 16 bits, the length would be off in its third digit.
        return torch.nn.functional.normalize(torch.cat(parts)[place].float(), dim=1)

    def _precision(self) -> AbstractContextManager[Any]:
        """The encoder computes in 16 bits where the language model does, its weights in 32."""
        import torch

        backbone: Any = self.backbone
        if backbone.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.encoder.model.device.type, torch.bfloat16)

    def retrieve(self, texts: Sequence[str], search: Search) -> Retrieved:
        """Retrieve for queries, to answer them.

        texts (Sequence[str]): the queries' texts.
        search (Callable): finds instances by the queries' keys.
        RETURNS (Retrieved): their soft prompts and what was retrieved.
        """
        import torch

        with torch.no_grad():
            vectors, _, selection = self._select(texts, search, 0)
        return Retrieved(vectors, selection)

    def begin_retrieve(
        self, texts: Sequence[str], search: Search, share: float = 1.0
    ) -> Tuple[Retrieved, Callable[["torch.Tensor", Optional[np.ndarray]], None]]:
        """Retrieve for queries, to train. The instances with most weight are encoded again.

        texts (Sequence[str]): the queries' texts.
        search (Callable): finds instances by the queries' keys.
        share (float): the part of a training step that these queries are, and of the instances that are encoded again.
        RETURNS (Tuple[Retrieved, Callable]): their soft prompts and what was retrieved; and the backward pass, which
            takes the gradients of the soft prompts and, where there is one, of the selection's votes.
        """
        import torch

        with torch.enable_grad():
            vectors, votes, selection = self._select(texts, search, math.ceil(self.settings["fresh"] * share), True)

        def backprop(d_vectors: "torch.Tensor", d_votes: Optional[np.ndarray] = None) -> None:
            if selection is not None:
                outputs, gradients = [vectors], [d_vectors]
                if d_votes is not None and votes is not None:
                    outputs.append(votes)
                    gradients.append(torch.as_tensor(d_votes, dtype=votes.dtype, device=votes.device))
                torch.autograd.backward(outputs, gradients)

        return Retrieved(vectors.detach(), selection), backprop

    def _select(
        self, texts: Sequence[str], search: Search, fresh: int, training: bool = False
    ) -> "Tuple[torch.Tensor, Optional[torch.Tensor], Optional[Selection]]":
        """fresh (int): most instances that are encoded again.
        RETURNS (Tuple[torch.Tensor, Optional[torch.Tensor], Optional[Selection]]): soft prompts, *Shape* (queries,
            vectors, width), the votes for each class, *Shape* (queries, classes), and what was retrieved.
        """
        import torch

        self.restore()
        if self.k == 0:
            backbone: Any = self.backbone
            return torch.zeros(len(texts), 0, backbone.width), None, None
        if self.reader is None:
            raise ValueError(Errors.R503)
        queries = self.encode(texts, training)
        found = search(queries.detach().cpu().numpy())
        device = queries.device
        rows = torch.as_tensor(found.rows, device=device)
        allowed = torch.as_tensor(found.allowed, device=device)
        table = torch.as_tensor(found.keys, device=device)
        self.reader.to(device)
        if fresh and self.trains_retriever:
            with torch.no_grad():
                weights = self.reader.weigh((queries @ table.T).gather(1, rows), self.k, allowed)
                total = table.new_zeros(len(table)).index_add(0, rows.flatten(), weights.sum(1).flatten())
                picked = total.topk(min(fresh, len(table))).indices
                picked = picked[total[picked] > 0]
            if len(picked):
                encoded = self.encode(found.read(picked.tolist()), training)
                self.staleness.append(1 - float((encoded.detach() * table[picked]).sum(1).mean()))
                table = table.index_copy(0, picked, encoded)
        similarity = (queries @ table.T).gather(1, rows)
        weights = self.reader.weigh(similarity, self.k, allowed)
        classes = torch.as_tensor(found.classes, device=device)
        drop = self.settings["label_dropout"] if training else 0.0
        vectors, votes = self.reader(weights, rows, table, classes, drop)
        if not training:
            votes = self.reader.votes_of_nearest(weights, rows, classes)
        given = (similarity, weights.sum(1) / self.k, votes)
        return vectors, votes, Selection(found.positions, found.allowed, *(t.detach().cpu().numpy() for t in given))

    # Forward and backward

    def predict(self, prompts: Batch) -> np.ndarray:  # type: ignore[override]
        import torch

        self.evaluate()
        with torch.no_grad():
            logits: np.ndarray = self._run(prompts).cpu().numpy()
            return logits

    def begin_update(self, prompts: Batch) -> Tuple[np.ndarray, Callable[..., Any]]:  # type: ignore[override]
        import torch

        self.restore()
        self.backbone.set_training(True)
        # Training steps are cut where the retriever ends: its queries are encoded together, prompts in chunks.
        vectors = prompts.vectors.detach().requires_grad_(self.k > 0)
        with torch.enable_grad():
            logits = self._run(prompts._replace(vectors=vectors))

        def backprop(gradient: np.ndarray) -> Any:
            logits.backward(torch.as_tensor(gradient, dtype=logits.dtype, device=logits.device))
            return torch.zeros_like(vectors) if vectors.grad is None else vectors.grad

        return logits.detach().cpu().numpy(), backprop

    def _run(self, batch: Batch) -> "torch.Tensor":
        backbone: Any = self.backbone
        return self._logits(backbone.states_after(batch.vectors.to(backbone.device), batch.prompts))

    def parameters(self) -> Dict[str, Any]:
        result = super().parameters()
        if self.settings["tuning"] == "full" and self.weight is not None:
            backbone: Any = self.backbone
            result.update((f"adapter.{name}", p) for name, p in backbone.model.named_parameters())
        if self.reader is not None:
            result.update((f"reader.{name}", p) for name, p in self.reader.named_parameters())
            if self.trains_retriever:
                result.update((f"encoder.{name}", p) for name, p in self._encoder_parameters())
        return result

    def rate(self, name: str) -> float:
        return self.settings["retriever_rate"] if name.startswith("encoder.") else 1.0

    def finish_update(self, optimizer: Optimizer) -> None:
        super().finish_update(optimizer)
        self._mark_tuned()

    @contextmanager
    def use_params(self, params: Any) -> Iterator[None]:
        try:
            with super().use_params(params):
                self._mark_tuned()
                yield
        finally:
            self._mark_tuned()

    def _mark_tuned(self) -> None:
        if self.reader is not None and self.trains_retriever:
            self.encoder.mark_tuned()

    # Serialisation

    @property
    def encoder_fingerprint(self) -> str:
        """RETURNS (str): hash of what makes the keys. Loads nothing where a saved state is pending, or none is
        there.
        """
        if self._saved is not None:
            return str(read_metadata(self._saved).get("keys", ""))
        return "" if self.reader is None else self.encoder.fingerprint

    def tensors(self) -> Dict[str, Any]:
        tensors = super().tensors()
        own = {name: p for name, p in self.parameters().items() if name.split(".")[0] in ("adapter", "encoder")}
        if self.reader is not None:
            own.update((f"reader.{name}", tensor) for name, tensor in self.reader.state_dict().items())
        tensors.update((name, tensor.detach().cpu().contiguous()) for name, tensor in own.items())
        return tensors

    def describe(self) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): base model, settings that the tensors depend on, and the encoder's fingerprint."""
        keep = ("k", "prompt_length", "train_retriever", "train_layers", "tuning", "learn_temperature")
        about: Dict[str, Any] = {"etrag": {name: self.settings[name] for name in keep}}
        if self.reader is not None:
            about.update(encoder={"name": self.encoder.name}, keys=self.encoder.fingerprint)
        return {**super().describe(), **about}

    def from_bytes(self, data: bytes) -> "ETRAGShim":
        super().from_bytes(data)
        self.reader = None
        return self

    def load_tensors(self, tensors: Mapping[str, "torch.Tensor"], about: Mapping[str, Any]) -> None:
        groups: Dict[str, Dict[str, Any]] = {"adapter": {}, "encoder": {}, "reader": {}, "head": {}}
        for name, tensor in tensors.items():
            group, _, rest = name.partition(".")
            groups.setdefault(group, {})[rest] = tensor
        if self.settings["tuning"] == "lora":
            super().load_tensors(tensors, about)
        else:
            self._train_backbone()
            backbone: Any = self.backbone
            _copy(dict(backbone.model.named_parameters()), groups["adapter"])
        if not self.k:
            return
        if self.encoder.tuned:
            self.encoder.reset()
        self._prepare_encoder()
        reader = self._make_reader(len(tensors["head.bias"]))
        _copy(dict(reader.state_dict(keep_vars=True)), groups["reader"])
        _copy(dict(self._encoder_parameters()) if self.trains_retriever else {}, groups["encoder"])
        self._mark_tuned()
        if self.encoder.fingerprint != about.get("keys"):
            raise ValueError(
                Errors.R545.format(
                    name=self.encoder.name,
                    found=self.encoder.fingerprint[:12],
                    expected=str(about.get("keys"))[:12],
                )
            )
        self.reader = reader


def _layers(model: Any) -> "List[torch.nn.Module]":
    """RETURNS (List[torch.nn.Module]): the layers of an encoder, first to last."""
    import torch

    count = model.config.num_hidden_layers
    lists = (m for m in model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == count)
    return list(next(lists, []))


def _copy(own: Mapping[str, "torch.Tensor"], saved: Mapping[str, "torch.Tensor"]) -> None:
    """Copy saved tensors into a model's. Raises a ValueError where names or shapes differ."""
    import torch

    wrong = sorted(set(own) ^ set(saved)) or [name for name in own if own[name].shape != saved[name].shape]
    if wrong:
        raise ValueError(Errors.R108.format(problem=f"of other settings (first difference: {wrong[0]})"))
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(saved[name])
