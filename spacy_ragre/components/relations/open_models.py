"""Readers of open labels on any transformer: a causal language model, an encoder-decoder's encoder, or an encoder.

The base model's weights stay as they are, and may be in 4 or 8 bits; a LoRA in it is trained together with the layers
that read pairs. Marks of mentions and vectors of entity types are added to the word vectors, so a text is read once for
all its pairs. A state of a causal model has not seen what follows it: a pair's own layers look at the whole text.
"""

from typing import Any, Dict, Mapping, Optional, Sequence, Tuple, Type, cast

from tokenizers import Tokenizer
from torch import Tensor, nn

from ...errors import Errors
from ...llm.base import Backbone
from ...llm.causal import CausalLM
from ...llm.resolve import load_problem, resolve
from ...llm.seq2seq import Seq2SeqLM
from .open_reader import Packed, PairReader
from .open_tokens import TokenLayout


class TextModel(Backbone):
    """A bidirectional encoder, such as BERT or MPNet, loaded as a language model is."""

    @property
    def decoder(self) -> Any:
        """RETURNS (transformers.PreTrainedModel): the encoder."""
        return self.whole

    def _auto_class(self) -> Any:
        from transformers import AutoModel

        return AutoModel

    def _task_type(self) -> str:
        return "FEATURE_EXTRACTION"


KINDS: Dict[str, Type[Backbone]] = {"causal": CausalLM, "encoder-decoder": Seq2SeqLM, "encoder": TextModel}


def kind_of(name: str) -> str:
    """name (str): a local folder, a GGUF file, the name of an embedded model, or a hub id.
    RETURNS (str): which of `KINDS` the model is. An OSError is raised where it can't be read.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(resolve(name), trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise OSError(load_problem(name, error)) from error
    if getattr(config, "is_encoder_decoder", False):
        return "encoder-decoder"
    classes: Sequence[str] = getattr(config, "architectures", None) or ()
    return "causal" if any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in classes) else "encoder"


class ModelReader(PairReader):
    """Reads by the states of a model.

    backbone (Mapping[str, Any]): `kind`, one of `KINDS`, and the arguments of such a `Backbone`, `name` first.
    width (int): that the model's states are brought to.
    pair_layers, views, fuse: see `PairReader`.
    """

    def __init__(
        self,
        *,
        backbone: Mapping[str, Any],
        width: int = 384,
        pair_layers: int = 2,
        views: Sequence[int] = (192, 192, 384),
        fuse: int = 256,
    ) -> None:
        arguments = dict(backbone)
        base = KINDS[arguments.pop("kind")](**arguments)
        base.init_adapter()
        model = base.whole.get_encoder() if isinstance(base, Seq2SeqLM) else base.decoder
        super().__init__(model.config.hidden_size, width, pair_layers, views, fuse)
        self.settings = dict(
            backbone=dict(backbone), width=width, pair_layers=pair_layers, views=list(views), fuse=fuse
        )
        # Not as modules, since the base model's weights are neither saved nor trained with the reader's own.
        self._parts: Tuple[Backbone, Any] = base, model
        self.adapter = nn.ParameterDict({n.replace(".", "/"): p for n, p in base.adapter_parameters().items()})
        # Added vectors and word vectors are of like size.
        self.inside = nn.Parameter(self.word_vectors.detach().float().std().cpu())
        self.down = nn.Sequential(nn.LayerNorm(model.config.hidden_size), nn.Linear(model.config.hidden_size, width))
        self.to(base.device)

    @property
    def base(self) -> Backbone:
        """RETURNS (Backbone): the model, with its adapter."""
        return self._parts[0]

    @property
    def word_vectors(self) -> Tensor:
        return cast(nn.Embedding, self._parts[1].get_input_embeddings()).weight

    def base_hash(self) -> str:
        return self.base.fingerprint

    def set_dropout(self, dropout: float) -> None:
        """dropout (float): of the adapter, while training. A model's own dropout is as its config says."""
        for module in self._parts[1].modules():
            if hasattr(module, "lora_dropout"):
                for part in module.lora_dropout.values():
                    part.p = dropout

    def train(self, mode: bool = True) -> "ModelReader":
        """mode (bool): whether dropout is on."""
        super().train(mode)
        self.base.set_training(mode)
        return self

    def layout(self) -> TokenLayout:
        """RETURNS (TokenLayout): how the model's texts are laid out. A ValueError is raised where its tokenizer does
        not tell which characters a token stands for.
        """
        tokenizer = self.base.tokenizer
        if not getattr(tokenizer, "is_fast", False):
            raise ValueError(Errors.R660.format(name=self.base.name, tokenizer=type(tokenizer).__name__))
        before: Tuple[int, ...] = tuple(self.base.prefix)
        # The first token of a causal model is one that all others look at, whatever it is.
        first: Optional[int] = tokenizer.bos_token_id
        if not before and first is not None:
            before = (first,)
        return TokenLayout(Tokenizer.from_str(tokenizer.backend_tokenizer.to_str()), before, self.base.suffix)

    def _encode(self, batch: Packed) -> Tensor:
        rows, columns, _ = batch.size
        words = nn.functional.embedding(batch.ids, self.word_vectors).float()
        added = self.marks(batch.marks) + self.type_proj(batch.type_table)[batch.types]
        packed = words + self.inside * added
        padded = packed.new_zeros(rows * columns, packed.shape[1]).index_copy(0, batch.places, packed)
        inputs = padded.view(rows, columns, -1).to(self.base.dtype)
        states = self._parts[1](inputs_embeds=inputs, attention_mask=batch.mask.long()).last_hidden_state
        chosen = states.reshape(rows * columns, -1).index_select(0, batch.places)
        down: Tensor = self.down(chosen.float())
        return down
