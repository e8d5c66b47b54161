"""What causal and encoder-decoder language models have in common: loading, quantisation, LoRA, tokens, batches."""

from contextlib import nullcontext
from dataclasses import asdict
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    ContextManager,
    Dict,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

from ..errors import Errors
from ..training.devices import check_device, pick_device
from ..training.tensors import plain_tensors
from .adapters.lora import LoraSettings, add_lora
from .adapters.merging import MergedWeights
from .attention.packing import Ids, PackedBatch, TokenPrompt, pack
from .attention.tries import TokenTrie
from .resolve import hash_weights, load_problem, local_folder, resolve
from .runtime.precision import choose_dtype, computing, is_low, quantization_config
from .runtime.quiet import quiet
from .sharing import file_key, shared_model
from .splitting import decoder_of
from .tokens import TextTokens, special_tokens

if TYPE_CHECKING:
    import torch
    from torch import Tensor

QUANTIZATIONS = (None, "nf4", "int8")
DTYPES = ("auto", "float32", "bfloat16", "float16")

# The pieces of a prompt: the instruction, those of the document, and those of the pair.
Pieces = Tuple[str, Tuple[str, ...], Sequence[str]]


class Likelihoods(NamedTuple):
    """Log-likelihoods of one prompt's answers.

    totals (List[float]): natural log of each answer's probability after the prompt.
    lengths (List[int]): each answer's number of tokens.
    """

    totals: List[float]
    lengths: List[int]


class Backbone:
    """A language model that scores labels for prompts. Nothing is loaded before it is first needed.

    name (str): a local folder, a GGUF file, the name of an embedded model, or a hub id.
    quantization (Optional[str]): "nf4" (4 bits with double quantisation, as in QLoRA, arXiv 2305.14314), "int8", or
        None.
    dtype (str): "float32", "bfloat16", "float16", or "auto": see `choose_dtype`.
    device (str): "cpu", "cuda", "cuda:1" ..., or "auto" for the GPU of --gpu-id, or else for what there is.
    lora (Optional[Mapping[str, Any]]): fields of `LoraSettings`, used once the model is trained.
    max_length (int): maximum number of tokens of a prompt; no more than the model has positions for.
    batch_tokens (int): maximum number of tokens of a batch, padding included.
    """

    #: Tokens that stand before and after a prompt.
    prefix: Ids
    suffix: Ids
    #: Whether its weights are to be split among processes, and whether they are.
    shard = False
    is_split = False

    def __init__(
        self,
        name: str,
        *,
        quantization: Optional[str] = None,
        dtype: str = "auto",
        device: str = "auto",
        lora: Optional[Mapping[str, Any]] = None,
        max_length: int = 2048,
        batch_tokens: int = 4096,
    ) -> None:
        if quantization not in QUANTIZATIONS:
            raise ValueError(Errors.R105.format(value=quantization))
        if dtype not in DTYPES:
            raise ValueError(Errors.R106.format(value=dtype))
        # As given: the model may allow less.
        self.settings: Dict[str, Any] = {"name": str(name), "quantization": quantization, "dtype": dtype}
        self.settings.update(device=device, lora=dict(lora or {}), max_length=max_length, batch_tokens=batch_tokens)
        self.name = str(name)
        self.quantization = quantization
        self.dtype_name = dtype
        self.device_name = check_device(device)
        self.lora = LoraSettings.from_config(lora)
        self.max_length = max_length
        self.batch_tokens = batch_tokens
        self.has_adapter = False
        self._model: Any = None
        self._base: Any = None  # what other language models share, and has to stay as long as one of them uses it
        self._tokenizer: Any = None
        self._fingerprint: Optional[str] = None
        self._merged = MergedWeights()
        self._text: Optional[TextTokens] = None
        # What "auto" was when the weights were loaded: a copy in another process computes in it, too.
        self._loaded_dtype: Optional[torch.dtype] = None

    def __getstate__(self) -> Dict[str, Any]:
        return {**self.__dict__, "_base": None}  # a copy has weights of its own

    # Loading

    @property
    def is_loaded(self) -> bool:
        """RETURNS (bool): whether the weights are in memory."""
        return self._model is not None

    @property
    def model(self) -> Any:
        """RETURNS (transformers.PreTrainedModel): the model, loaded now if it was not."""
        self.load()
        return self._model

    @property
    def whole(self) -> Any:
        """RETURNS (transformers.PreTrainedModel): the model without the wrapper of its adapter."""
        return self.model.get_base_model() if self.has_adapter else self.model

    @property
    def decoder(self) -> Any:
        """RETURNS (transformers.PreTrainedModel): the part that gives hidden states and no logits."""
        return decoder_of(self.whole)

    @property
    def tokenizer(self) -> Any:
        """RETURNS (transformers.PreTrainedTokenizerFast): the tokenizer, loaded now if it was not."""
        self.load()
        return self._tokenizer

    @property
    def device(self) -> "torch.device":
        """RETURNS (torch.device): where the weights are, or will be."""
        import torch

        return torch.device(pick_device(self.device_name, mps=False))

    @property
    def dtype(self) -> "torch.dtype":
        """RETURNS (torch.dtype): the data type to compute in."""
        import torch

        if self.dtype_name != "auto":
            dtype: torch.dtype = getattr(torch, self.dtype_name)
            return dtype
        return self._loaded_dtype or self._auto_dtype()

    def _auto_dtype(self) -> "torch.dtype":
        return choose_dtype(self.device, self.quantization is not None)

    @property
    def width(self) -> int:
        """RETURNS (int): width of a hidden state."""
        return int(self.model.config.hidden_size)

    @property
    def fingerprint(self) -> str:
        """RETURNS (str): content hash of the base model's weights; for a model that the hub serves, of the copy in
        its cache.
        """
        if self._fingerprint is None:
            folder = resolve(self.name)
            if self.is_loaded:
                folder = getattr(self._model.config, "_name_or_path", folder) or folder
            self._fingerprint = hash_weights(local_folder(folder))
        return self._fingerprint

    @plain_tensors
    def load(self) -> None:
        """Load model and tokenizer. Does nothing when they are loaded. Raises an OSError where that fails."""
        if self._model is not None:
            return
        path = resolve(self.name)
        try:
            with quiet("bitsandbytes", "transformers"):
                self._tokenizer = self._load_tokenizer(path)
                self._model, self._base = shared_model(self._sharing_key(path), lambda: self._load_model(path))
        except Exception as error:  # damaged files raise nearly anything, safetensors and tokenizers their own
            raise OSError(load_problem(self.name, error)) from error
        self._loaded_dtype = self.dtype
        positions = getattr(self._model.config, "max_position_embeddings", None)
        self.max_length = min(self.max_length, positions or self.max_length)
        self.prefix, self.suffix = special_tokens(self._tokenizer)
        self._text = TextTokens(self._tokenizer)

    def _sharing_key(self, path: str) -> Optional[Tuple[object, ...]]:
        # Quantised layers keep state beside their weights, and change it at the first pass.
        if self.quantization is not None:
            return None
        try:
            folder = local_folder(path)
        except (OSError, ValueError):  # the hub is asked for it first
            return None
        return file_key(folder), self._auto_class().__name__, str(self.dtype), str(self.device)

    def _load_tokenizer(self, path: str) -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(path, trust_remote_code=False)

    def _load_model(self, path: str) -> Any:
        import transformers

        options: Dict[str, Any] = {}
        options["torch_dtype" if int(transformers.__version__.split(".")[0]) < 5 else "dtype"] = self.dtype
        if self.quantization is not None:
            options["quantization_config"] = quantization_config(self.quantization, self.dtype)
            options["device_map"] = {"": str(self.device)}
        model = self._auto_class().from_pretrained(path, trust_remote_code=False, **options)
        if self.quantization is None:
            return self._place(model)
        for module in model.modules():
            # On some CPUs, bitsandbytes repacks 4-bit weights at the first prediction, for a kernel that has no
            # backward pass: what is trained after it gets wrong gradients. It also rounds the weights once more.
            if hasattr(module, "support_avx512bf16_for_cpu"):
                module.support_avx512bf16_for_cpu = False
        return model

    def _place(self, model: Any) -> Any:
        return model.to(self.device)

    def _auto_class(self) -> Any:
        raise NotImplementedError

    def own_weights(self) -> None:
        """Give the model memory of its own for its weights, so that they may be changed. Does nothing where it has."""
        if self.model is not self._base and self._base is not None:
            for parameter in self.model.parameters():
                parameter.data = parameter.data.clone()
        self._base = None

    # Adapter

    def init_adapter(self) -> None:
        """Put LoRA layers into the model, ready to be trained, or reset those that are there. They change nothing until
        they are trained.
        """
        if self.has_adapter:
            for module in self.model.modules():
                if hasattr(module, "reset_lora_parameters"):
                    module.reset_lora_parameters("default", True)
            self.model.zero_grad(set_to_none=True)
            return
        from .adapters.dropout import use_cpu_dropout

        self._model = add_lora(self.model, self.lora, self._task_type(), quantized=self.quantization is not None)
        use_cpu_dropout(self._model)
        if is_low(self.dtype):
            # Mixed precision computes the update in 16 bits, too: to widen its input first would be for nothing.
            for module in self._model.modules():
                if hasattr(module, "cast_input_dtype_enabled"):
                    module.cast_input_dtype_enabled = False
        self.has_adapter = True

    def _task_type(self) -> str:
        raise NotImplementedError

    def adapter_parameters(self) -> "Dict[str, torch.nn.Parameter]":
        """RETURNS (Dict[str, torch.nn.Parameter]): the trained parameters by name, in a fixed order."""
        if not self.has_adapter:
            return {}
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def adapter_state(self) -> "Dict[str, Tensor]":
        """RETURNS (Dict[str, torch.Tensor]): the adapter's weights, on the CPU."""
        return {name: p.detach().cpu().contiguous() for name, p in self.adapter_parameters().items()}

    def load_adapter_state(self, state: Mapping[str, "Tensor"]) -> None:
        """Take over an adapter's weights. Raises a ValueError where names or shapes differ."""
        import torch

        self.init_adapter()
        own = self.adapter_parameters()
        wrong = sorted(set(own) ^ set(state)) or [n for n in own if own[n].shape != state[n].shape]
        if wrong:
            raise ValueError(Errors.R108.format(problem=f"of another shape (first difference: {wrong[0]})"))
        with torch.no_grad():
            for name, parameter in own.items():
                parameter.copy_(state[name])

    def describe(self) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): the base's name and hash and the LoRA settings, saved with an adapter."""
        return {"name": self.name, "hash": self.fingerprint, "lora": asdict(self.lora)}

    def set_training(self, value: bool) -> None:
        """Turn dropout on or off.

        value (bool): True in training.
        """
        if self.model.training != value:
            self.model.train(value)

    def keep_step(self, passes: int) -> None:
        """Where weights are split: run as many passes of training, of no weight, as the process that has most has more
        than this one. All processes have to call it at the same time.

        passes (int): this process's passes that come now, each forward and backward through all layers.
        """

    # Tokens

    @property
    def text(self) -> TextTokens:
        """RETURNS (TextTokens): gives the token ids of text, loaded now if it was not."""
        self.load()
        return self._text  # type: ignore[return-value]

    def tokenize(self, pieces: Pieces) -> TokenPrompt:
        """Token ids of a prompt. Each piece is tokenised on its own, so that a prompt has the same ids however it is
        put together. Words that look like control tokens are read as words.

        pieces (Tuple[str, Tuple[str, ...], Sequence[str]]): the instruction and the pieces that the pairs of a document
            share, which may be empty, and the pieces that belong to one pair.
        RETURNS (TokenPrompt): token ids with the model's special tokens around them.
        """
        instruction, document, pair = self._parts(pieces)
        pair += self.suffix
        if instruction:
            instruction = self.prefix + instruction
        elif document:
            document = self.prefix + document
        else:
            pair = self.prefix + pair
        prompt = TokenPrompt(instruction, document, pair)
        if len(prompt) > self.max_length:
            raise ValueError(Errors.R109.format(length=len(prompt), model=self.name, limit=self.max_length))
        return prompt

    def count_tokens(self, pieces: Pieces) -> int:
        """RETURNS (int): the number of tokens of a prompt, special tokens counted."""
        parts = self._parts(pieces)
        return len(self.prefix) + sum(map(len, parts)) + len(self.suffix)

    def _parts(self, pieces: Pieces) -> Tuple[Ids, Ids, Ids]:
        text = self.text
        instruction, before = text.pieces([pieces[0]])
        document, before = text.pieces(pieces[1], before)
        return instruction, document, text.pieces(pieces[2], before)[0]

    def inner_ids(self, text: str) -> Ids:
        """RETURNS (Tuple[int, ...]): token ids of a piece that comes after other text, as an answer does."""
        return self.text.ids(text, before=".")

    def pad(self, rows: Sequence[Sequence[int]], left: bool = False) -> Tuple["Tensor", "Tensor"]:
        """Put rows of token ids into a tensor.

        rows (Sequence[Sequence[int]]): token ids.
        left (bool): put the padding before a row and not after it.
        RETURNS (Tuple[torch.Tensor, torch.Tensor]): ids and mask, int64, *Shape* (rows, length).
        """
        import torch

        longest = max(map(len, rows))
        ids = torch.full((len(rows), longest), self.pad_id)
        mask = torch.zeros((len(rows), longest), dtype=torch.long)
        for i, row in enumerate(rows):
            where = slice(longest - len(row), None) if left else slice(0, len(row))
            ids[i, where] = torch.tensor(row)
            mask[i, where] = 1
        return ids.to(self.device), mask.to(self.device)

    @property
    def shares(self) -> bool:
        """RETURNS (bool): whether what prompts share is computed once."""
        return False

    def pack(
        self, prompts: Sequence[TokenPrompt], extra: Callable[[int], int] = lambda index: 0
    ) -> Iterator[PackedBatch]:
        """Cut prompts into chunks of at most `batch_tokens` tokens, padding included.

        prompts (Sequence[TokenPrompt]): the prompts.
        extra (Callable[[int], int]): gives the number of tokens that come after a prompt, by its index.
        YIELDS (PackedBatch): what is computed in one pass. Call `release` of each when it is done.
        """
        return pack(prompts, self.batch_tokens, self.shares, extra)

    def word_embeddings(self, texts: Sequence[str]) -> "Tensor":
        """Mean input embedding of each text's tokens; zeros for a text that has none.

        texts (Sequence[str]): words or phrases.
        RETURNS (torch.Tensor): float32, *Shape* (texts, width), on the CPU.
        """
        import torch

        table = self.model.get_input_embeddings().weight
        rows = []
        for text in texts:
            ids = torch.tensor(self.inner_ids(text), dtype=torch.long, device=table.device)
            rows.append((table[ids].float().sum(0) / max(1, len(ids))).cpu())
        return torch.stack(rows)

    # Answers

    def states(self, chunk: PackedBatch) -> "Tensor":
        """Hidden state that stands for each prompt, after the model's last normalisation.

        chunk (PackedBatch): prompts that are computed together.
        RETURNS (torch.Tensor): float32, *Shape* (prompts, width), with gradients where they are enabled.
        """
        raise NotImplementedError

    def response_states(self, prompts: Sequence[Ids], responses: Sequence[Ids]) -> Iterator[Tuple[List[int], "Tensor"]]:
        """Hidden states of prompts with their responses: the one that stands for a prompt, and predicts its response's
        first token, and then that of each token of the response.

        prompts (Sequence[Tuple[int, ...]]): token ids of the prompts.
        responses (Sequence[Tuple[int, ...]]): token ids of their responses, which may be empty.
        YIELDS (Tuple[List[int], torch.Tensor]): for each pass, the numbers of its prompts and their states, one prompt
            after the other, *Shape* (prompts + tokens of responses, width), with gradients where they are enabled.
        """
        raise NotImplementedError

    def logits(self, hidden: "Tensor") -> "Tensor":
        """What the model says of the next tokens.

        hidden (torch.Tensor): hidden states, *Shape* (..., width).
        RETURNS (torch.Tensor): float32, *Shape* (..., vocabulary), scaled and capped as the model does.
        """
        raise NotImplementedError

    def likelihoods(self, chunk: PackedBatch, tries: Sequence[TokenTrie]) -> List[Likelihoods]:
        """Exact log-likelihood of every answer after its prompt, all answers of a prompt in one pass.

        chunk (PackedBatch): prompts that are computed together.
        tries (Sequence[TokenTrie]): for every prompt its answers.
        RETURNS (List[Likelihoods]): one for every prompt.
        """
        raise NotImplementedError

    def generate(self, inputs: Sequence[Sequence[int]], max_new_tokens: int) -> List[str]:
        """Greedy continuation of each prompt.

        inputs (Sequence[Sequence[int]]): token ids of the prompts of one batch.
        max_new_tokens (int): maximum number of tokens to generate.
        RETURNS (List[str]): the texts, without special tokens.
        """
        raise NotImplementedError

    def encode_answers(self, texts: Sequence[str]) -> List[List[int]]:
        """Token ids of answers. Where one is a prefix of another, all get the model's end token, since a prefix is
        never less likely than what goes on from it.

        texts (Sequence[str]): the answers, each with its leading space.
        RETURNS (List[List[int]]): their token ids.
        """
        ids = [list(self.inner_ids(text)) for text in texts]
        ordered = sorted(ids)
        if any(b[: len(a)] == a for a, b in zip(ordered, ordered[1:])):
            ids = [a + [self.tokenizer.eos_token_id] for a in ids]
        return ids

    def compute(self, length: int) -> ContextManager[Any]:
        """The settings under which a batch is computed: mixed precision, and the attention kernel that is fastest.

        length (int): tokens of the longest sequence.
        """
        self._set_merged()
        # Bitsandbytes logs a line for every int8 product.
        silence = quiet("bitsandbytes") if self.quantization == "int8" else nullcontext()
        # LoRA weights stay in float32, so a 16-bit base needs mixed precision while they are apart.
        mixed = self.has_adapter and not self._merged
        return computing(self.device.type, self.dtype, mixed, length, silence)

    def _set_merged(self) -> None:
        """Merge the adapter for predictions, on the CPU: on a GPU, memory is dearer."""
        import torch

        if not self.has_adapter or self.quantization is not None or self.device.type != "cpu":
            return
        if torch.is_grad_enabled() or self.model.training:
            self._merged.restore()
        else:
            self._merged.merge(self.model, self.version())

    def version(self) -> Tuple[int, ...]:
        """RETURNS (Tuple[int, ...]): equal as long as the weights are the same. Every change in place counts a tensor's
        version up: steps of an optimizer, a loaded adapter, averages.
        """
        return (id(self._model), *(p._version for p in self.adapter_parameters().values()))

    @property
    def pad_id(self) -> int:
        """RETURNS (int): the token that fills up a batch. It is never attended to."""
        tokenizer = self.tokenizer
        return next(i for i in (tokenizer.pad_token_id, tokenizer.eos_token_id, 0) if i is not None)
