"""Tiny random models, so that no test of behaviour needs a download or real weights."""

import gc
import importlib.util
import json
import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Dict, Iterator, List, Sequence

import catalogue
import pytest
import spacy
from hypothesis import HealthCheck, settings
from spacy.lang.en import English
from spacy.language import Language

# Property tests (tests/properties): about 800 inputs in all in a usual run. A nightly one, by
# HYPOTHESIS_PROFILE=nightly, takes 10,000 or more of each kind, and 20 minutes of one core. A test whose inputs are
# cheap takes a multiple of the profile's number.
_HOW = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]}
settings.register_profile("ci", max_examples=15, derandomize=True, **_HOW)  # type: ignore[arg-type]
settings.register_profile("nightly", max_examples=5000, **_HOW)  # type: ignore[arg-type]
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# Tests compare numbers to many digits, so that `dtype = "auto"` has to mean 32 bits on every processor: for models of
# this process by the fixture below, and for those of others by taking the instructions away that make 16 bits faster.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_VNNI")
# A model that is not here is not looked for on the hub, which takes a minute to be given up where there is no network.
os.environ["HF_HUB_OFFLINE"] = "1"

# Two things that spaCy does again and again took a third of the suite's time: it looks through the entry points of all
# packages, for each message of bytes, and for each blank pipeline it reads 1,347 abbreviations and contractions of
# English into the vocabulary. Here entry points are sorted once, and English has the rules for spaces and those that
# texts of tests need. Processes that tests start, and pipelines that bring rules of their own, have all.
_FOUND = catalogue.AVAILABLE_ENTRY_POINTS
catalogue.AVAILABLE_ENTRY_POINTS = {group: list(_FOUND.select(group=group)) for group in _FOUND.groups}
_NEEDED = "'s can't cannot don't didn't a.m. b. c. e.g. vs. Co. Dr. Inc. Jr. Mr. Mrs. St.".split()
_RULES = English.Defaults.tokenizer_exceptions
English.Defaults.tokenizer_exceptions = {text: _RULES[text] for text in _RULES if text.isspace() or text in _NEEDED}


@pytest.fixture(scope="session", autouse=True)
def float32_by_default() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spacy_ragre.llm.runtime.precision._has_bfloat16", lambda: False)
        yield


@pytest.fixture(scope="module", autouse=True)
def what_is_loaded_stays() -> None:
    """A full garbage collection looks at what this file's tests made, and not at the million objects of the libraries,
    which takes 0.4 s: one goes with every model that is loaded, and took half the time of tests of models.
    """
    gc.collect()
    gc.freeze()


TEXTS = [
    "Microsoft was founded by Bill Gates in Albuquerque.",
    "The relation between and is: no relation [ ] { } founded by located in inverse.",
    "Paris is located in France. Rome is located in Italy. Apple was founded by Steve Jobs.",
]


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>", "<pad>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>")


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random two-layer Llama."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("models") / "tiny-llama"
    config = LlamaConfig(
        vocab_size=400,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
        initializer_range=0.2,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(path)
    _tokenizer().save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def tiny_t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random two-layer T5."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("models") / "tiny-t5"
    config = T5Config(
        vocab_size=400,
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        decoder_start_token_id=2,
        eos_token_id=1,
        pad_token_id=2,
    )
    T5ForConditionalGeneration(config).save_pretrained(path)
    _tokenizer().save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def make_bert(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`make_bert(room)`: a folder with a random two-layer BERT that reads letters and has room for so many pieces.
    Given words, it reads those whole, and makes letters small.
    """

    def make(room: int, *, words: Sequence[str] = (), width: int = 16, seed: int = 0) -> Path:
        import torch
        from transformers import BertConfig, BertModel, BertTokenizerFast

        path = tmp_path_factory.mktemp("models")
        letters = [chr(c) for c in range(33, 127)]
        vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *letters, *(f"##{c}" for c in letters)]
        vocabulary = list(dict.fromkeys(vocabulary))
        (path / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf8")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            config = BertConfig(
                vocab_size=len(vocabulary),
                hidden_size=width,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=2 * width,
                max_position_embeddings=room,
                # The usual 0.02 gives a model whose vectors hardly depend on the text.
                initializer_range=0.2,
            )
            BertModel(config).save_pretrained(path)
        BertTokenizerFast(vocab_file=str(path / "vocab.txt"), do_lower_case=bool(words)).save_pretrained(path)
        return path

    return make


@pytest.fixture(scope="session")
def tiny_encoder(make_bert: Callable[..., Path]) -> Path:
    """A BERT with little room."""
    return make_bert(64)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium without a window. Of a module and no longer: while it is open, this thread can run no other loop."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra 'dev')")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    path = os.environ.get("CHROME_PATH") or next(filter(None, map(shutil.which, names)), "")
    with playwright.sync_playwright() as started:
        path = path or started.chromium.executable_path
        if not Path(path).exists():
            pytest.skip("no Chromium: set CHROME_PATH, or run .venv/bin/python -m playwright install chromium")
        chromium = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def nlp() -> Language:
    return spacy.blank("en")


@pytest.fixture
def tiny_config(tiny_llama: Path) -> Dict[str, Any]:
    """Settings of a relation extractor on the tiny model, with keys from its own states."""
    return {
        "model": {
            "@architectures": "ragre.LabelModel.v1",
            "backbone": {"@ragre_backbones": "ragre.CausalLM.v1", "name": str(tiny_llama), "device": "cpu"},
        },
        "retriever": {
            "@ragre_retrievers": "ragre.Retriever.v1",
            "encoder": {"@ragre_encoders": "ragre.BackboneEncoder.v1"},
        },
    }


# Small tokenizers of every kind, trained here: what a text becomes is what the kind does to it.

_SENTENCES = (
    "Paris is located in France. Ann met Bob [ ] { } founded by relation between and : no inverse of loc ated\n"
)
_TOKENIZED = [
    _SENTENCES * 3,
    "Say how The Ünïcödé 日本語 🙂 – “x” é",
    "<s> </s> <|im_end|> zebra quick jump vex = | 1 _ / SEP",
]
_CONTROL = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}


def _build_tokenizer(kind: str) -> Any:
    """RETURNS (PreTrainedTokenizerFast): a tokenizer as models of this kind have it."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special: List[str] = [*_CONTROL.values(), "<|im_end|>"]
    names: Dict[str, str] = dict(_CONTROL)
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
    tokenizer.train_from_iterator(_TOKENIZED, trainer)
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
    """`make_tokenizer(kind)`: of one of the kinds above, trained once."""
    made: Dict[str, Any] = {}

    def make(kind: str) -> Any:
        if kind not in made:
            made[kind] = _build_tokenizer(kind)
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


@pytest.fixture(scope="session")
def load_script() -> Callable[[str], ModuleType]:
    """Gives a function that imports a script of the project by its name."""

    def load(name: str) -> ModuleType:
        path = Path(__file__).parents[1] / "scripts" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def dry_run(capsys: pytest.CaptureFixture[str]) -> Callable[..., List[str]]:
    """`dry_run("all", budget="smoke")`: the commands that `spacy project run` would call."""
    from spacy.cli.project.run import project_run

    def call(workflow: str, **variables: str) -> List[str]:
        overrides = {f"vars.{name}": value for name, value in variables.items()}
        project_run(Path(__file__).parents[1], workflow, overrides=overrides, dry=True, force=True)
        return [line for line in capsys.readouterr().out.splitlines() if line.startswith("Running command")]

    return call
