"""States, likelihoods and generation against a model that is asked one prompt at a time."""

from pathlib import Path
from typing import Any, Dict, List, Sequence

import pytest
import torch

from spacy_ragre.llm import Backbone, CausalLM, Seq2SeqLM
from spacy_ragre.llm.attention.packing import PackedBatch, TokenPrompt, unshared
from spacy_ragre.llm.attention.tries import TokenTrie
from spacy_ragre.llm.base import Pieces
from spacy_ragre.llm.label_scoring import fit_examples, generate_texts

PROMPTS = [[0, 10, 11, 12, 13, 14, 15, 16], [0, 20], [0, 30, 31, 32], [0, 40, 41, 42, 43]]
ANSWERS = [
    [[50, 51], [50, 52, 53], [54], [50, 52]],  # shared prefixes, and an answer that begins another
    [[60]],  # a single answer
    [[61, 62], [61, 62], [63]],  # the same answer twice
    [[50, 50, 50, 50, 50, 50], [51]],
]


def rows(prompts: Sequence[Any]) -> PackedBatch:
    """Prompts that share nothing, in one pass."""
    return unshared([p if isinstance(p, TokenPrompt) else TokenPrompt(pair=tuple(p)) for p in prompts])


def tries(answers: Sequence[Sequence[Sequence[int]]]) -> List[TokenTrie]:
    return [TokenTrie.build(options) for options in answers]


@pytest.fixture(params=["causal", "seq2seq"])
def backbone(request: pytest.FixtureRequest, tiny_llama: Path, tiny_t5: Path) -> Backbone:
    if request.param == "causal":
        return CausalLM(str(tiny_llama), device="cpu")
    return Seq2SeqLM(str(tiny_t5), device="cpu")


def brute_force(backbone: Backbone, prompt: Sequence[int], answer: Sequence[int]) -> float:
    """Log-likelihood by a forward pass over prompt and answer alone."""
    model = backbone.model
    with torch.no_grad():
        if isinstance(backbone, Seq2SeqLM):
            start = [model.config.decoder_start_token_id]
            decoder = torch.tensor([[*start, *answer[:-1]]])
            logits = model(input_ids=torch.tensor([prompt]), decoder_input_ids=decoder).logits[0]
        else:
            logits = model(input_ids=torch.tensor([[*prompt, *answer]])).logits[0, len(prompt) - 1 : -1]
    logs = logits.float().log_softmax(-1)
    return sum(logs[i, token].item() for i, token in enumerate(answer))


def check_likelihoods(backbone: Backbone) -> None:
    found = backbone.likelihoods(rows(PROMPTS), tries(ANSWERS))
    assert len(found) == len(PROMPTS)
    for prompt, answers, likelihoods in zip(PROMPTS, ANSWERS, found):
        assert likelihoods.lengths == [len(answer) for answer in answers]
        expected = [brute_force(backbone, prompt, answer) for answer in answers]
        assert likelihoods.totals == pytest.approx(expected, abs=1e-4)
        # Otherwise anything would be equal to anything.
        assert len(set(map(tuple, answers))) == 1 or max(expected) - min(expected) > 1e-3


# States


def test_states_do_not_depend_on_batch_or_padding(backbone: Backbone) -> None:
    together = backbone.states(rows(PROMPTS))
    assert together.shape == (4, 32) and together.dtype is torch.float32
    for prompt, state in zip(PROMPTS, together):
        torch.testing.assert_close(backbone.states(rows([prompt]))[0], state, atol=1e-5, rtol=0)
    backwards = backbone.states(rows(PROMPTS[::-1]))
    torch.testing.assert_close(backwards.flip(0), together, atol=1e-5, rtol=0)
    assert torch.pdist(together).min() > 0.01


def test_state_of_a_decoder_is_that_of_the_last_token(tiny_llama: Path) -> None:
    backbone = CausalLM(str(tiny_llama), device="cpu")
    with torch.no_grad():
        hidden = backbone.model(input_ids=torch.tensor([PROMPTS[0]]), output_hidden_states=True).hidden_states[-1]
    torch.testing.assert_close(backbone.states(rows(PROMPTS))[0], hidden[0, -1], atol=1e-5, rtol=0)


def test_state_of_an_encoder_decoder_is_that_of_its_first_step(tiny_t5: Path) -> None:
    backbone = Seq2SeqLM(str(tiny_t5), device="cpu")
    with torch.no_grad():
        out = backbone.model(
            input_ids=torch.tensor([PROMPTS[0]]), decoder_input_ids=torch.tensor([[2]]), output_hidden_states=True
        )
    torch.testing.assert_close(
        backbone.states(rows(PROMPTS))[0], out.decoder_hidden_states[-1][0, 0], atol=1e-5, rtol=0
    )


def test_states_have_gradients_where_they_are_enabled(backbone: Backbone) -> None:
    backbone.init_adapter()
    backbone.states(rows(PROMPTS)).square().sum().backward()
    gradients = [p.grad for name, p in backbone.adapter_parameters().items() if "lora_B" in name]
    assert all(gradient is not None for gradient in gradients)
    assert sum(bool(gradient.abs().sum() > 0) for gradient in gradients if gradient is not None) > 0


# Likelihoods


def test_likelihoods_equal_brute_force(backbone: Backbone) -> None:
    check_likelihoods(backbone)


def test_likelihoods_of_an_adapted_model_equal_brute_force(backbone: Backbone) -> None:
    plain = backbone.likelihoods(rows(PROMPTS), tries(ANSWERS))
    backbone.init_adapter()
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in backbone.adapter_parameters().values():
            parameter.normal_(std=0.1)
    check_likelihoods(backbone)
    assert plain[0].totals != pytest.approx(backbone.likelihoods(rows(PROMPTS), tries(ANSWERS))[0].totals, abs=1e-3)


def test_likelihoods_do_not_depend_on_what_else_is_in_the_batch(backbone: Backbone) -> None:
    together = backbone.likelihoods(rows(PROMPTS), tries(ANSWERS))
    for prompt, answers, likelihoods in zip(PROMPTS, ANSWERS, together):
        (alone,) = backbone.likelihoods(rows([prompt]), tries([answers]))
        assert alone.totals == pytest.approx(likelihoods.totals, abs=1e-5)


def test_likelihoods_of_all_tokens_sum_to_one(backbone: Backbone) -> None:
    (likelihoods,) = backbone.likelihoods(rows([PROMPTS[0]]), tries([[[token] for token in range(400)]]))
    assert torch.tensor(likelihoods.totals).exp().sum().item() == pytest.approx(1.0, abs=1e-4)


def test_more_inner_nodes_than_rows_at_a_time(tiny_llama: Path) -> None:
    # 300 first tokens with a second one each: the vocabulary's logits are made in several goes.
    backbone = CausalLM(str(tiny_llama), device="cpu")
    answers = [[token, 5] for token in range(300)]
    (likelihoods,) = backbone.likelihoods(rows([PROMPTS[0]]), tries([answers]))
    for token in (0, 150, 299):
        assert likelihoods.totals[token] == pytest.approx(brute_force(backbone, PROMPTS[0], answers[token]), abs=1e-4)


SMALL: Dict[str, Any] = {
    "vocab_size": 400,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
    "initializer_range": 0.2,
}
HEADS = {"num_key_value_heads": 2, "head_dim": 8}


def check_response_states(backbone: Any) -> None:
    """What states of prompts and responses say of the next tokens is what the whole model says."""
    shared = tuple(range(3, 15))
    prompts = [(*shared, 20), (*shared, 20), (*shared, 21, 22), (30, 31)]
    responses = [(40, 41), (40, 42, 43), (), (44,)]
    whole = backbone.model
    start = getattr(whole.config, "decoder_start_token_id", None)
    found = []
    with torch.no_grad():
        for numbers, states in backbone.response_states(prompts, responses):
            parts = backbone.logits(states).split([1 + len(responses[i]) for i in numbers])
            for i, logits in zip(numbers, parts):
                prompt, response = prompts[i], responses[i]
                if whole.config.is_encoder_decoder:
                    inputs = {"input_ids": [prompt], "decoder_input_ids": [(start, *response)]}
                else:
                    inputs = {"input_ids": [(*prompt, *response)]}
                expected = whole(**{name: torch.tensor(ids) for name, ids in inputs.items()}).logits[0]
                expected = expected[-1 - len(response) :]
                torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
            found.extend(numbers)
    assert sorted(found) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "family,options",
    [
        ("MistralConfig", {"num_key_value_heads": 2}),
        # Layers that see a few tokens only; the trie must not let them see more.
        ("MistralConfig", {"num_key_value_heads": 2, "sliding_window": 4}),
        ("GemmaConfig", HEADS),
        ("Gemma2Config", {**HEADS, "sliding_window": 4, "final_logit_softcapping": 0.5}),
        ("Gemma3TextConfig", {**HEADS, "sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"]}),
        ("Qwen2Config", {"num_key_value_heads": 2}),
        ("Phi3Config", {"num_key_value_heads": 2}),
        # Families that scale their logits.
        ("GraniteConfig", {"num_key_value_heads": 2, "logits_scaling": 8.0}),
        ("CohereConfig", {"num_key_value_heads": 2, "logit_scale": 0.5}),
        # Families without `get_decoder`.
        ("GPTNeoXConfig", {}),
        ("GPT2Config", {}),
    ],
)
def test_families_of_decoders(family: str, options: Dict[str, Any], tiny_llama: Path, tmp_path: Path) -> None:
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, family)(**{**SMALL, **options})
    if family == "GPT2Config":
        config = transformers.GPT2Config(vocab_size=400, n_embd=32, n_layer=2, n_head=4, initializer_range=0.2)
    save(transformers.AutoModelForCausalLM.from_config(config), tiny_llama, tmp_path)
    backbone = CausalLM(str(tmp_path), device="cpu")
    check_likelihoods(backbone)
    check_response_states(backbone)
    for prompt, state in zip(PROMPTS, backbone.states(rows(PROMPTS))):
        torch.testing.assert_close(backbone.states(rows([prompt]))[0], state, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "family,options",
    [
        ("T5Config", {"tie_word_embeddings": True}),
        ("T5Config", {"tie_word_embeddings": False, "feed_forward_proj": "gated-gelu"}),
        ("UMT5Config", {"tie_word_embeddings": True}),
        ("LongT5Config", {"tie_word_embeddings": True}),
        ("BartConfig", {}),
    ],
)
def test_families_of_encoder_decoders(family: str, options: Dict[str, Any], tiny_llama: Path, tmp_path: Path) -> None:
    import transformers

    torch.manual_seed(0)
    common = {"vocab_size": 400, "d_model": 32, "eos_token_id": 1, "pad_token_id": 2, "decoder_start_token_id": 2}
    sizes: Dict[str, Any] = {"d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
    if family == "BartConfig":
        sizes = {"bos_token_id": 0, "forced_eos_token_id": None}
        for side in ("encoder", "decoder"):
            sizes.update({f"{side}_layers": 1, f"{side}_ffn_dim": 64, f"{side}_attention_heads": 4})
    config = getattr(transformers, family)(**{**common, **sizes, **options})
    model = transformers.AutoModelForSeq2SeqLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
        if hasattr(model, "final_logits_bias"):
            model.final_logits_bias.normal_()
    save(model, tiny_llama, tmp_path)
    backbone = Seq2SeqLM(str(tmp_path), device="cpu")
    check_likelihoods(backbone)
    check_response_states(backbone)


def save(model: Any, tokenizer: Path, path: Path) -> None:
    from transformers import AutoTokenizer

    model.eval().save_pretrained(path)
    AutoTokenizer.from_pretrained(tokenizer).save_pretrained(path)


# Generation


def test_generation_equals_one_prompt_at_a_time(backbone: Backbone) -> None:
    together = backbone.generate(PROMPTS, 6)
    expected: List[str] = []
    for prompt in PROMPTS:
        out = backbone.model.generate(
            input_ids=torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=6,
            do_sample=False,
            pad_token_id=2,
        )[0]
        new = out if isinstance(backbone, Seq2SeqLM) else out[len(prompt) :]
        expected.append(backbone.tokenizer.decode(new, skip_special_tokens=True))
    assert together == expected
    assert any(together)


def test_generated_texts_are_in_the_order_of_the_prompts(tiny_llama: Path) -> None:
    backbone = CausalLM(str(tiny_llama), device="cpu", batch_tokens=16)
    texts = ["Paris", "Rome is located in Italy. Paris is located in", "Apple was"]
    prompts: List[Pieces] = [("", (), [text]) for text in texts]
    found = generate_texts(backbone, prompts, max_new_tokens=5)
    assert found == [generate_texts(backbone, [prompt], max_new_tokens=5)[0] for prompt in prompts]


# Examples that fit


def test_as_many_examples_as_fit(tiny_llama: Path) -> None:
    backbone = CausalLM(str(tiny_llama), device="cpu", max_length=8)

    def build(number: int) -> Pieces:
        return "", (), ["a", "b"] * number + ["c"]

    assert fit_examples(backbone, build, 2) == build(2)
    assert fit_examples(backbone, build, 9) == build(3)
    assert fit_examples(backbone, lambda number: ("", (), ["a"] * 8), 3) is None
