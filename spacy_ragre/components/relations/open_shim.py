"""The trained state of the reader of open labels: a torch side beside that of the language model."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Optional

from ...bundled import BUNDLED, locate
from ...errors import Errors
from ...llm.label_model import read_metadata
from ...training.tensors import read_tensors
from ...training.torch_shim import TorchShim

if TYPE_CHECKING:
    from torch.nn import Parameter

    from .open_labels import OpenRelations

ENCODER = "all-MiniLM-L6-v2"
# Learning rates as multiples of the optimizer's: the weights that an encoder brought along learn slowest, and single
# numbers fastest. At spaCy's default of 0.001, an encoder's would be lost at once.
SLOW = ("layers.", "norm.", "positions.", "adapter.")
NUMBERS = ("scale", "bias")
ENCODER_RATE = 0.2
PAIRS_RATE = 0.6
NUMBERS_RATE = 10.0


def find_encoder() -> Path:
    """RETURNS (Path): the folder of the encoder that readers have their word vectors and tokenizer of."""
    encoder = locate(ENCODER)
    if encoder is None:
        raise ValueError(Errors.R102.format(name=ENCODER, package=BUNDLED[ENCODER].package))
    return encoder


class OpenShim(TorchShim):
    """Holds the reader once it is trained. Its word vectors stay those of its encoder, and are not saved."""

    def __init__(self) -> None:
        super().__init__(None)
        self._reader: Optional[OpenRelations] = None
        self._start: Optional[str] = None

    def __getstate__(self) -> Dict[str, Any]:
        # Another process, or a copy, loads the weights itself.
        return {**self.__dict__, "_reader": None, "_saved": self.to_bytes() or None, "_shrunk": None}

    @property
    def tuned(self) -> bool:
        """RETURNS (bool): whether there are weights of its own, to train and to answer with."""
        return self._reader is not None or self._saved is not None

    def start(self, reader: "OpenRelations", checksum: Optional[str]) -> None:
        """Take weights to train.

        reader (OpenRelations): with weights that nobody else uses.
        checksum (Optional[str]): of the file that they are from.
        """
        self.take(None)
        self._reader, self._start = reader, checksum

    def begin_update(self, dropout: float) -> "OpenRelations":  # type: ignore[override]
        """dropout (float): share of the encoder's states that are left out, from 0 to less than 1.
        RETURNS (OpenRelations): the reader, ready to learn.
        """
        reader = self.restore()
        reader.model.train()
        reader.model.set_dropout(dropout)
        return reader

    def parameters(self) -> "Dict[str, Parameter]":
        """RETURNS (Dict[str, torch.nn.Parameter]): what is trained, by name; nothing where it was never started."""
        if not self.tuned:
            return {}
        return {name: value for name, value in self.restore().model.named_parameters() if value.requires_grad}

    def rate(self, name: str) -> float:
        """RETURNS (float): a parameter's learning rate, as a multiple of the optimizer's."""
        if name in NUMBERS:
            return NUMBERS_RATE
        return ENCODER_RATE if name.startswith(SLOW) else PAIRS_RATE

    # Serialisation

    def to_bytes(self) -> bytes:
        """RETURNS (bytes): a safetensors file with the weights in 32 bits, and what they belong to in its metadata;
        empty where nothing was trained.
        """
        if self.saved is not None or self._reader is None:
            return self.saved or b""
        from safetensors.torch import save

        model = self._reader.model
        tensors = {name: value.detach().cpu().contiguous() for name, value in model.own_state().items()}
        # One entry: the order of several is not kept, and equal weights shall be equal bytes.
        about = {
            "name": model.settings.get("backbone", {}).get("name", ENCODER),
            "hash": self._reader.base_hash,
            "start": self._start,
            "settings": model.settings,
        }
        return save(tensors, metadata={"base": json.dumps(about)})

    def from_bytes(self, data: bytes) -> "OpenShim":
        """Keep a saved state; it is put into a model at first use, since a config must load without weights."""
        self.take(bytes(data))
        self._reader = self._start = None
        if self._saved is not None:
            read_metadata(self._saved)
        return self

    def restore(self) -> "OpenRelations":
        """RETURNS (OpenRelations): the reader with its own weights. Raises a ValueError where those that were saved are
        damaged, or of another encoder.
        """
        if self._reader is not None:
            return self._reader
        from safetensors import SafetensorError

        from .open_labels import OpenRelations

        if self._saved is None:
            raise ValueError(Errors.R571.format(problem="missing"))
        about = read_metadata(self._saved)
        try:
            reader = OpenRelations.build(about["settings"], read_tensors(self._saved))
        except (SafetensorError, RuntimeError, TypeError) as error:
            raise ValueError(Errors.R571.format(problem=f"damaged ({error})")) from error
        if reader.base_hash != about["hash"]:
            raise ValueError(
                Errors.R570.format(
                    name=about["name"],
                    trained=str(about["hash"])[:12],
                    found=reader.base_hash[:12],
                )
            )
        self.taken()
        self._reader, self._start = reader, about["start"]
        return reader
