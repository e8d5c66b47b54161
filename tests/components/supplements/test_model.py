"""Losses and generation on plain token ids, and the model with heads for several tasks, on tiny random models."""

import math

import numpy as np
import pytest
from thinc.api import Adam

from spacy_ragre.components.supplements.model import MultiTaskModel, Trained
from spacy_ragre.llm import generation
from spacy_ragre.llm.attention.packing import TokenPrompt, unshared
from spacy_ragre.llm.causal import CausalLM
from spacy_ragre.llm.copy_grammar import CopyGrammar, Piece
from spacy_ragre.llm.generation import end_id, generate_ids
from spacy_ragre.llm.seq2seq import Seq2SeqLM

PROMPTS = [[0, 40, 41, 42], [0, 43], [0, 44, 45, 46, 47, 48]]
RESPONSES = [[50, 51], [52, 53, 54, 55], []]


LONG = [[0, 40 + i, 41, *range(60, 60 + i % 5)] for i in range(24)]


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


def make_shim(backbone, words):
    """The torch side of a model without dropout, which some models have of their own."""
    import torch

    shim = MultiTaskModel(backbone).shims[0]
    shim.init_head(words)
    for module in backbone.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
    return shim


def word_lists(backbone, count):
    """A grammar of lists of some words, each of two tokens."""
    words = [Piece((70 + k, 90), (70 + k, 91)) for k in range(count)]
    return CopyGrammar(words, [None], separator=(9,), none=(6,), end=end_id(backbone))


def responses(weight=1.0):
    return [Trained(tuple(p), weight, response=tuple(r)) for p, r in zip(PROMPTS, RESPONSES)]


def labels(targets, weight=1.0):
    return [Trained(tuple(p), weight, slice(0, 3), target) for p, target in zip(PROMPTS, targets)]


def test_loss_is_that_of_the_response_tokens(backbone):
    shim = make_shim(backbone, [" a", " b", " c"])
    expected = [by_hand(backbone, p, r) for p, r in zip(PROMPTS, RESPONSES)]
    assert shim.train(responses()) == pytest.approx(sum(expected), abs=1e-4)
    halved = [*responses()[:2], responses(0.5)[2]]
    assert shim.train(halved) == pytest.approx(sum(expected) - expected[2] / 2, abs=1e-4)


def test_loss_of_labels_is_that_of_the_task_s_own_rows(backbone):
    shim = make_shim(backbone, [" a", " b", " c", " d", " e"])
    logits = shim.predict(rows(PROMPTS))[0]
    asked = [Trained(tuple(PROMPTS[0]), 1.0, slice(0, 2), 1), Trained(tuple(PROMPTS[1]), 0.25, slice(2, 5), 0)]

    def by_rows(logits, target, smoothing):
        logs = logits - np.log(np.exp(logits).sum())
        return -((1 - smoothing) * logs[target] + smoothing * logs.mean())

    for smoothing in (0.0, 0.1):
        expected = by_rows(logits[0, :2], 1, smoothing) + 0.25 * by_rows(logits[1, 2:], 0, smoothing)
        assert shim.train(asked, smoothing) == pytest.approx(expected, abs=1e-4)


def test_questions_together_teach_what_each_teaches_alone(backbone):
    import torch

    shared = tuple(range(30, 45))
    asked = [Trained((*shared, 50), 0.5, slice(0, 2), 1), Trained((*shared, 51, 52), 2.0, slice(1, 3), 0)]
    asked += [Trained((*shared, 53), 0.25, response=(60, 61, 62)), Trained((*shared, 53), 1.0, response=(60, 63))]
    asked += [Trained((7, 8), 1.0, response=()), Trained(shared, 1.0, response=(50, 51)), asked[0]]
    shim = make_shim(backbone, [" a", " b", " c"])
    for parameter in shim.parameters().values():
        parameter.data.normal_(std=0.1)
    losses, gradients = [], []
    for parts in ([asked], [[question] for question in asked]):
        losses.append(sum(shim.train(part, 0.1) for part in parts))
        gradients.append({name: p.grad.clone() for name, p in shim.parameters().items()})
        for parameter in shim.parameters().values():
            parameter.grad = None
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradient, gradients[1][name], atol=1e-4), name


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


@pytest.mark.parametrize("most", [0.0, 7 / 8, 1.0])
def test_rows_that_end_early_change_nothing_for_the_others(tiny_llama, monkeypatch, most):
    """Never taken out of the batch, in time and at once."""
    backbone = CausalLM(str(tiny_llama), device="cpu")
    monkeypatch.setattr(generation, "_MOST_GOING", most)
    rules = [word_lists(backbone, i % 6) for i in range(len(LONG))]
    together = generate_ids(backbone, LONG, 12, rules)
    alone = [generate_ids(backbone, [prompt], 12, [rules[i]])[0] for i, prompt in enumerate(LONG)]
    assert together == alone and len({len(row) for row in together}) > 2


@pytest.mark.parametrize("limit", [1, 12, 4096])
def test_prompts_that_are_read_apart_are_answered_as_together(tiny_llama, limit):
    whole = CausalLM(str(tiny_llama), device="cpu")
    parts = CausalLM(str(tiny_llama), device="cpu", batch_tokens=limit)
    assert generate_ids(parts, LONG, 6) == generate_ids(whole, LONG, 6)


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


def test_models_that_share_nothing_answer_the_same(tiny_llama, monkeypatch):
    rules = [word_lists(backbone=CausalLM(str(tiny_llama), device="cpu"), count=i % 6) for i in range(len(LONG))]
    found = []
    for shares in (True, False):
        backbone = CausalLM(str(tiny_llama), device="cpu")
        monkeypatch.setattr(CausalLM, "shares", shares)
        found.append([generate_ids(backbone, LONG, 12), generate_ids(backbone, LONG, 12, rules)])
    assert found[0] == found[1] and len({len(row) for row in found[0][1]}) > 2


@pytest.mark.parametrize("guess", ["nothing", "right", "wrong", "half"])
def test_guesses_change_no_response(tiny_llama, monkeypatch, guess):
    """Whatever is drafted, the response is what the model says, and what is right is not read again."""
    backbone = CausalLM(str(tiny_llama), device="cpu")
    rules = [word_lists(backbone, i % 6) for i in range(len(LONG))]
    monkeypatch.setattr(CopyGrammar, "draft", lambda *_: [])
    expected = generate_ids(backbone, LONG, 12, rules)
    following = {id(grammar): response for grammar, response in zip(rules, expected)}
    taken = {id(grammar): 0 for grammar in rules}
    read = []

    def advance(grammar, states, token, usual=CopyGrammar.advance):
        taken[id(grammar)] += 1
        return usual(grammar, states, token)

    def draft(grammar, states, most):
        right = following[id(grammar)][taken[id(grammar)] :][:most]
        wrong = [399] * most
        return {"nothing": [], "right": right, "wrong": wrong, "half": [*right[:1], *wrong][:most]}[guess]

    def decode_step(context, rows, usual=backbone.decode_step):
        read.append(sum(map(len, rows)))
        return usual(context, rows)

    monkeypatch.setattr(CopyGrammar, "advance", advance)
    monkeypatch.setattr(CopyGrammar, "draft", draft)
    monkeypatch.setattr(backbone, "decode_step", decode_step)
    assert generate_ids(backbone, LONG, 12, rules) == expected
    steps = {"nothing": 12, "right": 2, "wrong": 12, "half": 6}
    assert len(read) <= steps[guess]
    if guess == "right":
        assert sum(read) <= sum(map(len, expected))


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
        loss = shim.train([*responses(1 / 9), *labels(targets, 1 / 3)])
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
    shim.train(responses())
    assert np.allclose(model.predict(rows(PROMPTS))[0], before)
    model.begin_update(rows(PROMPTS))
    assert shim.generate(PROMPTS, 4) == shim.generate(PROMPTS, 4)
