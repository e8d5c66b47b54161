"""Keys and values that outlive a pass, and passes that leave padding out."""

import pytest
import torch

from spacy_ragre.llm.attention.packing import TokenPrompt
from spacy_ragre.llm.causal import CausalLM

PROMPTS = [(0, 40, 41, 42), (0, 43), (0, 44, 45, 46, 47, 48), (0, 49, 50, 51)]
AFTER = [(60, 61), (62,), (), (63, 64, 65)]


def alone(backbone, ids):
    """RETURNS: states of a sequence, by the model itself."""
    return backbone.decoder(input_ids=torch.tensor([ids]), use_cache=False).last_hidden_state[0]


@pytest.fixture
def backbone(tiny_llama):
    with torch.no_grad():
        yield CausalLM(str(tiny_llama), device="cpu", batch_tokens=8)


def close(found, expected):
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_prompts_are_gone_on_with(backbone):
    context, states = backbone.prefill(PROMPTS)
    close(states, torch.stack([alone(backbone, prompt)[-1] for prompt in PROMPTS]))
    assert context.lengths.tolist() == list(map(len, PROMPTS))
    found = backbone.decode_step(context, AFTER)
    close(found, torch.cat([alone(backbone, (*p, *a))[len(p) :] for p, a in zip(PROMPTS, AFTER)]))
    found = backbone.decode_step(context, [(70,)] * 4)
    close(found, torch.stack([alone(backbone, (*p, *a, 70))[-1] for p, a in zip(PROMPTS, AFTER)]))


def test_tokens_are_taken_back(backbone):
    context, _ = backbone.prefill(PROMPTS)
    backbone.decode_step(context, AFTER)
    context.drop_last(torch.tensor([1, 0, 0, 2]))
    kept = [(60,), (62,), (), (63,)]
    assert context.lengths.tolist() == [len(p) + len(k) for p, k in zip(PROMPTS, kept)]
    found = backbone.decode_step(context, [(70,)] * 4)
    close(found, torch.stack([alone(backbone, (*p, *k, 70))[-1] for p, k in zip(PROMPTS, kept)]))
    # More than what was read last.
    context.drop_last(torch.tensor([3, 0, 0, 0]))
    found = backbone.decode_step(context, [(71,), (), (), ()])
    close(found[0], alone(backbone, (*PROMPTS[0][:-1], 71))[-1])


def test_documents_are_chosen(backbone):
    context, _ = backbone.prefill(PROMPTS)
    chosen = context.select(torch.tensor([3, 0]))
    found = backbone.decode_step(chosen, [(70,), (71,)])
    close(found, torch.stack([alone(backbone, (*PROMPTS[3], 70))[-1], alone(backbone, (*PROMPTS[0], 71))[-1]]))
    assert len(context.lengths) == 4


def test_only_tokens_are_computed_and_no_padding(backbone, monkeypatch):
    seen = []
    usual = backbone.decoder.forward

    def forward(**inputs):
        seen.append(tuple(inputs["input_ids"].shape))
        return usual(**inputs)

    monkeypatch.setattr(backbone.decoder, "forward", forward)
    context, _ = backbone.prefill(PROMPTS)
    backbone.decode_step(context, AFTER)
    assert sum(rows * length for rows, length in seen) == sum(map(len, (*PROMPTS, *AFTER)))
    seen.clear()
    prompts = [TokenPrompt((0, 40, 41), (), (42,) * (i + 1)) for i in range(5)]
    for chunk in backbone.pack(prompts):
        backbone.states(chunk)
    assert sum(rows * length for rows, length in seen) == 3 + sum(range(1, 6))
