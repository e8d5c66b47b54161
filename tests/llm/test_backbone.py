"""Settings, loading, tokens, batches, adapters and quantisation."""

import copy
import itertools
import logging
import pickle
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple

import pytest
import torch

from spacy_ragre.llm import Backbone, CausalLM, LoraSettings, Seq2SeqLM
from spacy_ragre.llm.attention.packing import PackedBatch, TokenPrompt, unshared
from spacy_ragre.llm.attention.tries import TokenTrie
from spacy_ragre.llm.causal import create_causal_lm
from spacy_ragre.llm.seq2seq import create_seq2seq_lm

PROMPTS = [[0, 10, 11, 12, 13], [0, 20, 21]]


def rows(prompts: Sequence[Any]) -> PackedBatch:
    """Prompts that share nothing, in one pass."""
    return unshared([p if isinstance(p, TokenPrompt) else TokenPrompt(pair=tuple(p)) for p in prompts])


def tries(answers: Sequence[Sequence[Sequence[int]]]) -> List[TokenTrie]:
    return [TokenTrie.build(options) for options in answers]


@pytest.fixture
def llama(tiny_llama: Path) -> CausalLM:
    return CausalLM(str(tiny_llama), device="cpu")


def change_adapter(backbone: Backbone, seed: int = 0) -> None:
    """Give the adapter random weights."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in backbone.adapter_parameters().values():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)


# Settings


@pytest.mark.parametrize("create", [create_causal_lm, create_seq2seq_lm])
def test_nothing_is_loaded_before_it_is_needed(create: Callable[..., Backbone]) -> None:
    backbone = create(name="no/such-model", quantization="nf4", lora={"rank": 4, "target_modules": ["q_proj"]})
    assert not backbone.is_loaded and not backbone.has_adapter
    assert backbone.lora == LoraSettings(rank=4, target_modules=("q_proj",))


def test_r105_unknown_quantization() -> None:
    with pytest.raises(ValueError, match="R105.*'int4'"):
        CausalLM("x", quantization="int4")


def test_r106_unknown_data_type() -> None:
    with pytest.raises(ValueError, match="R106.*'double'"):
        CausalLM("x", dtype="double")


@pytest.mark.parametrize(
    "lora,problem",
    [
        ({"rank": 0}, "rank=0"),
        ({"rank": "8"}, "rank='8'"),
        ({"rank": 2.5}, "rank=2.5"),
        ({"alpha": None}, "alpha=None"),
        ({"dropout": 1.0, "rank": True}, "rank=True, dropout=1.0"),
        ({"target_modules": []}, r"target_modules=\(\)"),
        ({"target_modules": ["q_proj", 1]}, r"target_modules=\('q_proj', 1\)"),
        ({"target_modules": 3}, "target_modules=3"),
        ({"r": 8}, "unknown keys.*r"),
        ({"r": 8, 0: 1}, "unknown keys.*0.*r"),
    ],
)
def test_r110_lora_settings(lora: Dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=f"R110.*{problem}"):
        CausalLM("x", lora=lora)


def test_data_type_and_device() -> None:
    backbone = CausalLM("x", dtype="bfloat16", device="cuda:1")
    assert backbone.dtype is torch.bfloat16 and backbone.device == torch.device("cuda:1")


# Loading


@pytest.mark.parametrize("cls", [CausalLM, Seq2SeqLM])
def test_r104_names_that_lead_nowhere(cls: Any) -> None:
    backbone = cls("no-such-owner/no-such-model")
    with pytest.raises(OSError, match="R104.*'no-such-owner/no-such-model'.*smollm2-135m-instruct"):
        backbone.load()
    assert not backbone.is_loaded


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "config.json"])
def test_r104_damaged_files(tiny_llama: Path, tmp_path: Path, file: str) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(tiny_llama, folder)
    (folder / file).write_bytes((folder / file).read_bytes()[:50])
    with pytest.raises(OSError, match="R104.*damaged"):
        CausalLM(str(folder)).load()


def test_r104_model_of_the_other_kind(tiny_llama: Path, tiny_t5: Path) -> None:
    with pytest.raises(OSError, match="R104"):
        CausalLM(str(tiny_t5)).load()
    with pytest.raises(OSError, match="R104"):
        Seq2SeqLM(str(tiny_llama)).load()


def test_code_in_a_model_folder_is_not_run(tiny_llama: Path, tmp_path: Path) -> None:
    import json

    folder = tmp_path / "with-code"
    shutil.copytree(tiny_llama, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf8"))
    config.update(model_type="own", auto_map={"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"})
    (folder / "config.json").write_text(json.dumps(config), encoding="utf8")
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')", encoding="utf8")
    with pytest.raises(OSError, match="R104"):
        CausalLM(str(folder)).load()
    assert not (tmp_path / "ran").exists()


def test_loaded_weights_are_frozen_and_in_evaluation_mode(llama: CausalLM) -> None:
    assert not llama.model.training and not any(p.requires_grad for p in llama.model.parameters())
    assert llama.is_loaded and llama.width == 32


def test_log_levels_are_put_back(llama: CausalLM) -> None:
    logger = logging.getLogger("bitsandbytes")
    before = logger.level
    llama.load()
    assert logger.level == before


def test_fingerprint_is_the_same_before_and_after_loading(tiny_llama: Path) -> None:
    before, after = CausalLM(str(tiny_llama)), CausalLM(str(tiny_llama))
    after.load()
    assert before.fingerprint == after.fingerprint and not before.is_loaded


# Tokens


def test_special_tokens_stand_around_a_prompt(llama: CausalLM) -> None:
    llama.load()
    assert (llama.prefix, llama.suffix) == ((0,), ())
    whole = tuple(llama.tokenizer("Paris")["input_ids"])
    # They belong to what comes first.
    assert llama.tokenize(("", (), ["Paris"])) == TokenPrompt(pair=whole)
    assert llama.tokenize(("", ("Paris",), [])) == TokenPrompt(document=whole)
    assert llama.tokenize(("Paris", (), [])) == TokenPrompt(instruction=whole)
    assert llama.tokenize(("", (), [])).ids == (0,)


def test_special_tokens_after_a_prompt(tiny_llama: Path, tmp_path: Path) -> None:
    from tokenizers import Tokenizer, processors

    folder = tmp_path / "with-suffix"
    shutil.copytree(tiny_llama, folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> <s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    backbone = CausalLM(str(folder), device="cpu")
    pieces = ("", "Paris", [" is"])
    prompt = backbone.tokenize(pieces)
    assert (backbone.prefix, backbone.suffix) == ((0, 0), (1,))
    assert prompt.document[:2] == (0, 0) and prompt.pair[-1] == 1
    assert backbone.count_tokens(pieces) == len(prompt) == len(prompt.ids)


def test_pieces_are_tokenised_one_by_one(llama: CausalLM) -> None:
    pieces = ["Paris is loc", "ated in France", "", ". 日本 \n", "Paris is loc"]
    cut = (pieces[0], (pieces[1],), pieces[2:])
    ids = llama.tokenize(cut).ids
    alone = [llama.tokenizer(piece, add_special_tokens=False)["input_ids"] for piece in pieces]
    assert ids == (0, *itertools.chain.from_iterable(alone))
    assert llama.tokenize(("", (), pieces)).ids == ids
    assert llama.count_tokens(cut) == len(ids)
    # The text at once has other tokens at the seam: this is what fixed boundaries are for.
    assert list(ids[1:]) != llama.tokenizer("".join(pieces), add_special_tokens=False)["input_ids"]


def test_r109_prompts_that_are_too_long(tiny_llama: Path) -> None:
    backbone = CausalLM(str(tiny_llama), device="cpu", max_length=5)
    assert len(backbone.tokenize(("a", ("b",), ["c", "d"]))) == 5
    with pytest.raises(ValueError, match="R109.* 6 tokens.*at most 5"):
        backbone.tokenize(("a", ("b",), ["c", "d", "e"]))


def test_answers_get_an_end_only_where_one_begins_another(llama: CausalLM) -> None:
    ids = llama.encode_answers([" Paris", " Rome"])
    assert [llama.tokenizer.decode(a) for a in ids] == [" Paris", " Rome"]
    ended = llama.encode_answers([" Paris is", " Rome", " Paris"])
    assert [a[-1] for a in ended] == [1, 1, 1]
    assert [llama.tokenizer.decode(a[:-1]) for a in ended] == [" Paris is", " Rome", " Paris"]


def test_word_embeddings_are_means(llama: CausalLM) -> None:
    found = llama.word_embeddings([" Paris is in", "a", ""])
    table = llama.model.get_input_embeddings().weight
    ids = llama.tokenizer(" Paris is in", add_special_tokens=False)["input_ids"]
    assert found.shape == (3, 32) and found.dtype is torch.float32
    torch.testing.assert_close(found[0], table[ids].mean(0))
    assert found[2].eq(0).all()


# Adapters


@pytest.mark.parametrize("cls", [CausalLM, Seq2SeqLM])
def test_a_new_adapter_changes_nothing(cls: Any, tiny_llama: Path, tiny_t5: Path) -> None:
    backbone = cls(str(tiny_llama if cls is CausalLM else tiny_t5), device="cpu")
    answers = [[[30], [31, 32]], [[30]]]
    states, likelihoods = backbone.states(rows(PROMPTS)), backbone.likelihoods(rows(PROMPTS), tries(answers))
    texts = backbone.generate(PROMPTS, 4)
    assert backbone.adapter_parameters() == {} and backbone.adapter_state() == {}
    backbone.init_adapter()
    assert backbone.has_adapter and backbone.adapter_parameters()
    torch.testing.assert_close(backbone.states(rows(PROMPTS)), states, atol=1e-6, rtol=0)
    for after, before in zip(backbone.likelihoods(rows(PROMPTS), tries(answers)), likelihoods):
        assert after.totals == pytest.approx(before.totals, abs=1e-5)
    assert backbone.generate(PROMPTS, 4) == texts


def test_only_the_adapter_is_trained(llama: CausalLM) -> None:
    llama.init_adapter()
    names = list(llama.adapter_parameters())
    assert names and all("lora_" in name for name in names)
    layers = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    assert all(any(layer in name for name in names) for layer in layers)
    llama.init_adapter()
    assert list(llama.adapter_parameters()) == names


def test_target_modules_choose_the_layers(tiny_llama: Path) -> None:
    backbone = CausalLM(str(tiny_llama), device="cpu", lora={"rank": 2, "target_modules": ["q_proj", "v_proj"]})
    backbone.init_adapter()
    names = list(backbone.adapter_parameters())
    assert len(names) == 2 * 2 * 2 and all("q_proj" in n or "v_proj" in n for n in names)


@pytest.mark.parametrize("names", [["query"], ["q_proj", "query"], ["proj"]])
def test_r124_target_modules_that_the_model_has_not(tiny_llama: Path, names: List[str]) -> None:
    backbone = CausalLM(str(tiny_llama), device="cpu", lora={"target_modules": names})
    known = "'down_proj', 'embed_tokens', 'gate_proj', 'k_proj', 'o_proj', 'q_proj', 'up_proj', 'v_proj'"
    with pytest.raises(ValueError, match=f"R124.*adapt '{names[-1]}', given.*It has {known}"):
        backbone.init_adapter()
    assert not backbone.has_adapter


@pytest.mark.parametrize("names", [["self_attn.q_proj"], r".*\.v_proj"])
def test_layers_are_named_by_the_end_of_their_path_or_by_an_expression(tiny_llama: Path, names: Any) -> None:
    backbone = CausalLM(str(tiny_llama), device="cpu", lora={"rank": 2, "target_modules": names})
    backbone.init_adapter()
    assert len(backbone.adapter_parameters()) == 2 * 2


def test_r110_an_expression_that_no_layer_matches(tiny_llama: Path) -> None:
    with pytest.raises(ValueError, match="R110.*query"):
        CausalLM(str(tiny_llama), device="cpu", lora={"target_modules": "query"}).init_adapter()


def test_adapter_states_are_taken_over(llama: CausalLM, tiny_llama: Path) -> None:
    llama.init_adapter()
    change_adapter(llama)
    other = CausalLM(str(tiny_llama), device="cpu")
    plain = other.states(rows(PROMPTS))
    other.load_adapter_state(llama.adapter_state())
    torch.testing.assert_close(other.states(rows(PROMPTS)), llama.states(rows(PROMPTS)), atol=0, rtol=0)
    assert (other.states(rows(PROMPTS)) - plain).abs().max() > 1e-3


def test_r108_adapters_of_another_shape(llama: CausalLM, tiny_llama: Path) -> None:
    narrow = CausalLM(str(tiny_llama), device="cpu", lora={"rank": 4})
    narrow.init_adapter()
    with pytest.raises(ValueError, match="R108.*another shape.*lora_A"):
        llama.load_adapter_state(narrow.adapter_state())
    state = llama.adapter_state()
    missing = next(iter(state))
    del state[missing]
    with pytest.raises(ValueError, match=f"R108.*{missing}"):
        llama.load_adapter_state(state)


def test_describe_names_the_base(llama: CausalLM) -> None:
    assert llama.describe() == {
        "name": llama.name,
        "hash": llama.fingerprint,
        "lora": {"rank": 16, "alpha": 32.0, "dropout": 0.0, "target_modules": "all-linear"},
    }


def test_dropout_only_in_training(tiny_llama: Path) -> None:
    backbone = CausalLM(str(tiny_llama), device="cpu", lora={"dropout": 0.5})
    backbone.init_adapter()
    change_adapter(backbone)
    backbone.set_training(True)
    assert (backbone.states(rows(PROMPTS)) - backbone.states(rows(PROMPTS))).abs().max() > 0
    backbone.set_training(False)
    torch.testing.assert_close(backbone.states(rows(PROMPTS)), backbone.states(rows(PROMPTS)), atol=0, rtol=0)


def test_training_reaches_every_layer_at_once(tiny_t5: Path) -> None:
    # T5 has dropout of its own.
    backbone = Seq2SeqLM(str(tiny_t5), device="cpu")
    backbone.init_adapter()
    assert not any(module.training for module in backbone.model.modules())
    backbone.set_training(True)
    assert all(module.training for module in backbone.model.modules())
    backbone.set_training(False)
    assert not any(module.training for module in backbone.model.modules())


# Copies


@pytest.mark.parametrize("again", [copy.deepcopy, lambda backbone: pickle.loads(pickle.dumps(backbone))])
def test_a_copy_answers_the_same(llama: CausalLM, again: Callable[[CausalLM], CausalLM]) -> None:
    # Processes that are spawned get the pipeline as a pickle.
    llama.init_adapter()
    change_adapter(llama)
    ids = llama.tokenize(("", (), ["Paris is"]))
    other = again(llama)
    assert other.tokenize(("", (), ["Paris is"])) == ids
    torch.testing.assert_close(other.states(rows([ids])), llama.states(rows([ids])), atol=0, rtol=0)
    change_adapter(other, seed=1)
    assert (other.states(rows([ids])) - llama.states(rows([ids]))).abs().max() > 1e-3


def test_a_backbone_that_is_not_loaded_stays_so_in_a_copy(tiny_llama: Path) -> None:
    other = pickle.loads(pickle.dumps(CausalLM(str(tiny_llama), device="cpu")))
    assert not other.is_loaded
    assert other.tokenize(("", (), ["a"])).ids[0] == 0


# Precision


@pytest.mark.parametrize(
    "options,tolerance",
    [({"dtype": "bfloat16"}, 0.1), ({"quantization": "nf4"}, 0.7), ({"quantization": "int8"}, 0.1)],
    ids=["bfloat16", "nf4", "int8"],
)
def test_low_precision_computes_and_trains(
    tiny_llama: Path, options: Dict[str, Any], tolerance: float, caplog: pytest.LogCaptureFixture
) -> None:
    exact = CausalLM(str(tiny_llama), device="cpu").states(rows(PROMPTS))
    backbone = CausalLM(str(tiny_llama), device="cpu", lora={"rank": 4}, **options)
    states = backbone.states(rows(PROMPTS))
    assert states.dtype is torch.float32 and states.shape == exact.shape
    difference = ((states - exact).norm() / exact.norm()).item()
    assert 0 < difference < tolerance

    likelihoods, _ = backbone.likelihoods(rows(PROMPTS), tries([[[30], [31, 32]], [[30]]]))
    assert all(value < 0 for value in likelihoods.totals)

    backbone.init_adapter()
    assert all(p.dtype is torch.float32 for p in backbone.adapter_parameters().values())
    backbone.set_training(True)
    optimizer = torch.optim.SGD(backbone.adapter_parameters().values(), lr=0.05)
    losses = []
    for _ in range(4):
        loss = (backbone.states(rows(PROMPTS)) - 1).square().mean()
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < losses[0]
    backbone.set_training(False)
    assert backbone.states(rows(PROMPTS)).isfinite().all()
    # A line for every int8 product would bury all else.
    assert [record.message for record in caplog.records if record.name.startswith("bitsandbytes.autograd")] == []


def test_an_update_in_sixteen_bits_is_that_of_widened_inputs(tiny_llama: Path) -> None:
    def learn(widen: bool) -> Tuple[torch.Tensor, List[torch.Tensor]]:
        backbone = CausalLM(str(tiny_llama), device="cpu", dtype="bfloat16", lora={"rank": 4})
        backbone.init_adapter()
        change_adapter(backbone)
        layers = [m for m in backbone.model.modules() if hasattr(m, "cast_input_dtype_enabled")]
        assert layers and not any(layer.cast_input_dtype_enabled for layer in layers)
        for layer in layers:
            layer.cast_input_dtype_enabled = widen
        backbone.set_training(True)
        states = backbone.states(rows(PROMPTS))
        states.square().mean().backward()
        return states, [p.grad for p in backbone.adapter_parameters().values()]

    (states, gradients), (expected, wanted) = learn(False), learn(True)
    assert torch.equal(states, expected)
    assert all(torch.equal(a, b) for a, b in zip(gradients, wanted))


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_gradients_do_not_depend_on_earlier_predictions(tiny_llama: Path, quantization: str) -> None:
    def gradients(predict_first: bool) -> Dict[str, torch.Tensor]:
        backbone = CausalLM(str(tiny_llama), device="cpu", quantization=quantization, lora={"rank": 2})
        backbone.init_adapter()
        change_adapter(backbone)
        if predict_first:
            backbone.set_training(False)
            with torch.no_grad():
                backbone.states(rows(PROMPTS))
        backbone.set_training(True)
        (backbone.states(rows(PROMPTS)) - 1).square().mean().backward()
        return {name: p.grad for name, p in backbone.adapter_parameters().items() if p.grad is not None}

    fresh, used = gradients(False), gradients(True)
    assert len(fresh) == len(used) == 2 * 7 * 2
    for name, gradient in fresh.items():
        torch.testing.assert_close(used[name], gradient, atol=1e-6, rtol=1e-4)


# Vectors before a prompt


@pytest.mark.parametrize("adapted", [False, True])
@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_states_after_embeddings_are_those_of_the_longer_prompt(
    tiny_llama: Path, tiny_t5: Path, kind: str, adapted: bool
) -> None:
    backbone: Any = (
        CausalLM(str(tiny_llama), device="cpu") if kind == "llama" else Seq2SeqLM(str(tiny_t5), device="cpu")
    )
    if adapted:
        backbone.init_adapter()
        change_adapter(backbone)
    heads = torch.tensor([[5, 6, 7], [8, 9, 10]])
    whole = backbone.states(rows([[*head.tolist(), *prompt] for head, prompt in zip(heads, PROMPTS)]))
    vectors = backbone.model.get_input_embeddings()(heads)
    torch.testing.assert_close(backbone.states_after(vectors, rows(PROMPTS)), whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(backbone.states_after(vectors[:, :0], rows(PROMPTS)), backbone.states(rows(PROMPTS)))


@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_gradients_reach_the_vectors(tiny_llama: Path, tiny_t5: Path, kind: str) -> None:
    backbone: Any = (
        CausalLM(str(tiny_llama), device="cpu") if kind == "llama" else Seq2SeqLM(str(tiny_t5), device="cpu")
    )
    vectors = torch.randn(2, 3, 32, requires_grad=True)
    backbone.states_after(vectors, rows(PROMPTS))[0].square().sum().backward()
    assert vectors.grad is not None
    assert (vectors.grad[0].abs().sum(1) > 0).all() and (vectors.grad[1] == 0).all()
