"""Losses and generation on plain token ids, and the model with heads for several tasks, on tiny random models."""

import math
from contextlib import nullcontext

import numpy as np
import pytest
from thinc.api import Adam

from spacy_ragre.backbones.causal import CausalLM
from spacy_ragre.backbones.packing import TokenPrompt, unshared
from spacy_ragre.backbones.seq2seq import Seq2SeqLM
from spacy_ragre.models import generation_loss
from spacy_ragre.models.copying import CopyGrammar, Piece
from spacy_ragre.models.generation_loss import end_id, generate_ids, response_loss
from spacy_ragre.models.multi_task_model import MultiTaskModel

PROMPTS = [[0, 40, 41, 42], [0, 43], [0, 44, 45, 46, 47, 48]]
RESPONSES = [[50, 51], [52, 53, 54, 55], []]


@pytest.fixture(params=["causal", "seq2seq"])
def backbone(request, tiny_llama, tiny_t5):
    if request.param == "causal":
        return CausalLM(str(tiny_llama), device="cpu", lora={"rank": 4})
    return Seq2SeqLM(str(tiny_t5), device="cpu", lora={"rank": 4})


def rows(prompts):
    return unshared([TokenPrompt(pair=tuple(prompt)) for prompt in prompts])


def by_hand(backbone, prompt, response):
    """Summed loss of one response, from the whole model's own loss."""
    import torch

    closed = [*response, end_id(backbone)]
    if backbone.model.config.is_encoder_decoder:
        batch = {"input_ids": torch.tensor([prompt]), "labels": torch.tensor([closed])}
    else:
        labels = torch.tensor([[-100] * len(prompt) + closed])
        batch = {"input_ids": torch.tensor([prompt + closed]), "labels": labels}
    with torch.no_grad():
        return float(backbone.model(**batch).loss) * len(closed)


def test_loss_is_that_of_the_response_tokens(backbone):
    import torch

    with torch.no_grad():
        loss = float(response_loss(backbone, PROMPTS, RESPONSES))
    assert loss == pytest.approx(sum(by_hand(backbone, p, r) for p, r in zip(PROMPTS, RESPONSES)), abs=1e-4)


def test_states_equal_one_prompt_at_a_time(backbone):
    import torch

    with torch.no_grad():
        together = backbone.states(rows(PROMPTS)).numpy()
        alone = np.concatenate([backbone.states(rows([prompt])).numpy() for prompt in PROMPTS])
    assert together.shape == (3, 32) and np.allclose(together, alone, atol=1e-5)


def test_generation_equals_one_prompt_at_a_time(backbone):
    together = generate_ids(backbone, PROMPTS, 6)
    assert together == [generate_ids(backbone, [prompt], 6)[0] for prompt in PROMPTS]
    assert all(len(row) <= 6 and end_id(backbone) not in row for row in together)


def test_the_vocabulary_gets_contiguous_states(backbone, monkeypatch):
    """Given a slice of the prompts' states, a CPU copies the vocabulary's matrix for each prompt."""
    head = backbone.whole.get_output_embeddings()
    forward, contiguous = head.forward, []

    def spy(states):
        contiguous.append(states.is_contiguous())
        return forward(states)

    monkeypatch.setattr(head, "forward", spy)
    generate_ids(backbone, PROMPTS, 3)
    assert contiguous and all(contiguous)
    assert not head._forward_pre_hooks


def test_attention_of_generation_is_plain_on_a_cpu_and_the_usual_one_after_it(backbone, monkeypatch):
    config = backbone.decoder.config
    usual, seen = config._attn_implementation, []
    head = backbone.whole.get_output_embeddings()
    handle = head.register_forward_pre_hook(lambda *_: seen.append(config._attn_implementation))
    usual_ids = generate_ids(backbone, PROMPTS, 6)
    assert set(seen) == {"eager"} and config._attn_implementation == usual

    # The answers are those of the usual attention.
    monkeypatch.setattr(generation_loss, "_plain_attention", lambda _: nullcontext())
    seen.clear()
    assert generate_ids(backbone, PROMPTS, 6) == usual_ids and set(seen) == {usual}
    monkeypatch.undo()

    handle.remove()
    handle = head.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        generate_ids(backbone, PROMPTS, 6)
    handle.remove()
    assert config._attn_implementation == usual


def test_generation_keeps_to_the_grammar_of_each_row(backbone):
    def rules(words):
        pieces = [Piece((w, 100), (w, 101)) for w in words]
        return CopyGrammar(pieces, [None, [(7,), (8,)]], separator=(9,), none=(6,), end=end_id(backbone))

    grammars = [rules([60, 61, 62]), rules([70]), rules([])]
    rows = generate_ids(backbone, PROMPTS, 40, grammars)
    for row, grammar in zip(rows, grammars):
        states = grammar.start()
        for token in row:
            assert token in grammar.allowed(states)
            states = grammar.advance(states, token)
        assert end_id(backbone) in grammar.allowed(states)
    assert rows[2] == [6]


def test_heads_and_responses_learn_together(tiny_llama):
    backbone = CausalLM(str(tiny_llama), device="cpu", lora={"rank": 8, "alpha": 16})
    model = MultiTaskModel(backbone)
    shim = model.shims[0]
    shim.init_head([" a", " b", " c"])
    optimizer = Adam(0.02)
    targets = [0, 2, 1]
    first = None
    for _ in range(40):
        loss = shim.train_responses(PROMPTS, RESPONSES, 1 / 9)
        (logits, _), backprop = model.begin_update(rows(PROMPTS))
        gradient = np.exp(logits - logits.max(1, keepdims=True))
        gradient /= gradient.sum(1, keepdims=True)
        gradient[np.arange(3), targets] -= 1
        backprop(gradient.astype("float32") / 3)
        model.finish_update(optimizer)
        first = first or loss
    assert loss < first / 4 and math.isfinite(loss)
    assert model.predict(rows(PROMPTS))[0].argmax(1).tolist() == targets
    assert shim.generate(PROMPTS, 8) == RESPONSES

    copy = MultiTaskModel(CausalLM(str(tiny_llama), device="cpu", lora={"rank": 8, "alpha": 16}))
    copy.from_bytes(model.to_bytes())
    assert copy.shims[0].generate(PROMPTS, 8) == RESPONSES
    assert np.allclose(copy.predict(rows(PROMPTS))[0], model.predict(rows(PROMPTS))[0], atol=1e-5)


def test_no_dropout_outside_of_training(tiny_llama):
    model = MultiTaskModel(CausalLM(str(tiny_llama), device="cpu", lora={"rank": 4, "dropout": 0.5}))
    shim = model.shims[0]
    shim.init_head([" a", " b"])
    for parameter in shim.parameters().values():
        parameter.data.normal_()
    before = model.predict(rows(PROMPTS))[0]
    shim.train_responses(PROMPTS, RESPONSES, 1.0)
    assert np.allclose(model.predict(rows(PROMPTS))[0], before)
    model.begin_update(rows(PROMPTS))
    assert shim.generate(PROMPTS, 4) == shim.generate(PROMPTS, 4)
