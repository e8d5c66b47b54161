"""Small tokenizers of every kind, trained here: what their text becomes is what the kind does to it."""

import json
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

WORDS = "Paris is located in France. Ann met Bob [ ] { } founded by relation between and : no inverse of loc ated\n"
TEXTS = [WORDS * 3, "Say how The Ünïcödé 日本語 🙂 – “x” é", "<s> </s> <|im_end|> zebra quick jump vex = | 1 _ / SEP"]
CONTROL = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
KINDS = ("byte_bpe", "byte_bpe_space", "metaspace_always", "metaspace_first", "prepend", "t5", "wordpiece")


def build_tokenizer(kind: str) -> Any:
    """RETURNS (PreTrainedTokenizerFast): a tokenizer as models of this kind have it."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special: List[str] = [*CONTROL.values(), "<|im_end|>"]
    names: Dict[str, str] = dict(CONTROL)
    options: Dict[str, Any] = {"vocab_size": 600, "special_tokens": special, "show_progress": False}
    bytes_of = [f"<0x{i:02X}>" for i in range(256)]
    if kind.startswith("byte_bpe"):  # GPT-2, SmolLM2, Llama 3, RoBERTa
        options["vocab_size"] = 400
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=kind.endswith("space"))
        tokenizer.decoder = decoders.ByteLevel()
        trainer: Any = trainers.BpeTrainer(initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), **options)
    elif kind.startswith("metaspace") or kind == "prepend":  # Llama 2 and Mistral, newer and older files
        options["special_tokens"] = [*special, *bytes_of]
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
        if kind == "prepend":
            steps = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
            tokenizer.normalizer = normalizers.Sequence(steps)  # type: ignore[assignment]
        else:
            scheme: Any = kind.split("_")[1]
            tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)  # type: ignore
        tokenizer.decoder = decoders.Sequence(  # type: ignore[assignment]
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
        trainer = trainers.BpeTrainer(**options)
    elif kind == "t5":  # Unigram, as T5 and XLM-R; its vocabulary holds the control tokens, too
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.Sequence(  # type: ignore[assignment]
            [normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip(left=False, right=True)]
        )
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(  # type: ignore[assignment]
            [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
        )
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(unk_token="<unk>", **options)
    else:
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special))
        options["special_tokens"] = special
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(**options)
    tokenizer.train_from_iterator(TEXTS, trainer)
    # Bytes are given to the trainer as special tokens, which they are not.
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] not in bytes_of]
    tokenizer = Tokenizer.from_str(json.dumps(content))
    first, last = ("[CLS]", "[SEP]") if kind == "wordpiece" else ("<s>", "</s>")
    ends = [(word, tokenizer.token_to_id(word)) for word in (first, last)]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{first} $A {last}", special_tokens=ends)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, add_prefix_space=kind.endswith("space"), additional_special_tokens=special, **names
    )


@pytest.fixture(scope="session")
def make_tokenizer() -> Callable[[str], Any]:
    """`make_tokenizer(kind)`: one of `KINDS`, trained once."""
    made: Dict[str, Any] = {}

    def make(kind: str) -> Any:
        if kind not in made:
            made[kind] = build_tokenizer(kind)
        return made[kind]

    return make


@pytest.fixture(scope="session")
def with_tokenizer(
    make_tokenizer: Callable[[str], Any], tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """`with_tokenizer(kind)`: a folder with a random Llama that has this tokenizer."""

    def make(kind: str) -> Path:
        import torch
        from transformers import AutoConfig, LlamaForCausalLM

        path = tmp_path_factory.mktemp("models")
        tokenizer = make_tokenizer(kind)
        config = AutoConfig.from_pretrained(tiny_llama, vocab_size=len(tokenizer))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            LlamaForCausalLM(config).save_pretrained(path)
        tokenizer.save_pretrained(path)
        return path

    return make
