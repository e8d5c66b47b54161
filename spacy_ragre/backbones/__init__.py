from .base import Backbone, Likelihoods
from .causal import CausalLM
from .lora import LoraSettings
from .seq2seq import Seq2SeqLM

__all__ = ["Backbone", "CausalLM", "Likelihoods", "LoraSettings", "Seq2SeqLM"]
