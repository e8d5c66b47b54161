from .adapters.lora import LoraSettings
from .base import Backbone, Likelihoods
from .causal import CausalLM
from .seq2seq import Seq2SeqLM

__all__ = ["Backbone", "CausalLM", "Likelihoods", "LoraSettings", "Seq2SeqLM"]
