"""Every way that a GPU is used. Skipped where torch finds none; RAGRE_TEST_DEVICE=cpu runs all of it on a CPU, but for
what is about the GPU's memory, as a test of the tests.
"""

import os
import random
from typing import Any, Dict, List, Tuple

import numpy as np
import pytest
import spacy
import torch

from spacy_ragre.corpora.reader import copy_input
from spacy_ragre.llm import CausalLM, Seq2SeqLM
from spacy_ragre.llm.attention.packing import TokenPrompt, unshared
from spacy_ragre.llm.label_scoring import generate_texts, score_texts

DEVICE = os.environ.get("RAGRE_TEST_DEVICE", "cuda")
no_gpu = DEVICE == "cuda" and not torch.cuda.is_available()
pytestmark = [pytest.mark.cuda, pytest.mark.skipif(no_gpu, reason="torch finds no GPU")]

PROMPTS = [("Say it. ", (f"{text} ",), ("Acme and Ann: ",)) for text in ("Acme was founded by Ann.", "Ann met Bob.")]
NUMBERS = [({}, 1e-3), ({"dtype": "bfloat16"}, 0.3), ({"dtype": "bfloat16", "quantization": "nf4"}, 0.3)]


def make_prompts(pairs: int, document: int = 60) -> List[TokenPrompt]:
    rng = random.Random(0)
    parts: List[Tuple[int, ...]] = [tuple(rng.randrange(3, 400) for _ in range(n)) for n in (7, document)]
    return [TokenPrompt(parts[0], parts[1], tuple(rng.randrange(3, 400) for _ in range(6))) for _ in range(pairs)]


def packed(backbone: Any, prompts: List[TokenPrompt]) -> torch.Tensor:
    found = torch.zeros(len(prompts), backbone.width)
    with torch.no_grad():
        for chunk in backbone.pack(prompts):
            found[chunk.indexes] = backbone.states(chunk).cpu()
            chunk.release()
    return found


@pytest.mark.parametrize("numbers, most", NUMBERS, ids=["float32", "bfloat16", "nf4"])
def test_packed_states_are_those_of_separate_prompts(tiny_llama, numbers, most):
    backbone = CausalLM(str(tiny_llama), device=DEVICE, lora={"rank": 4}, **numbers)
    backbone.init_adapter()
    prompts = make_prompts(20)
    with torch.no_grad():
        alone = torch.cat([backbone.states(unshared([prompt])).cpu() for prompt in prompts])
    assert (packed(backbone, prompts) - alone).abs().max() < most
    if "quantization" not in numbers:
        backbone = CausalLM(str(tiny_llama), device="cpu", dtype="float32")
        assert (packed(backbone, prompts) - alone).abs().max() < most


@pytest.mark.parametrize("kind", ["decoder", "encoder-decoder"])
def test_labels_and_texts_are_those_of_a_cpu(tiny_llama, tiny_t5, kind):
    make, folder = (CausalLM, tiny_llama) if kind == "decoder" else (Seq2SeqLM, tiny_t5)
    found = []
    for device in ("cpu", DEVICE):
        backbone = make(str(folder), device=device, dtype="float32")
        scores = score_texts(backbone, PROMPTS, [("founded by", "met", "no relation")] * len(PROMPTS))
        found.append((scores, generate_texts(backbone, PROMPTS)))
    np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-3)
    assert found[0][1] == found[1][1]


def settings_of(tiny_llama: Any, device: str, **numbers: Any) -> Dict[str, Any]:
    backbone = {"@ragre_backbones": "ragre.CausalLM.v1", "name": str(tiny_llama), "device": device, **numbers}
    model = {"@architectures": "ragre.LabelModel.v1", "backbone": {**backbone, "lora": {"rank": 8, "alpha": 16}}}
    return {"model": model}


def test_a_label_head_learns_as_on_a_cpu(make_nlp, gold_examples, train, tiny_llama):
    losses = []
    for device in ("cpu", DEVICE):
        nlp = make_nlp(**settings_of(tiny_llama, device))
        losses.append(train(nlp, gold_examples(nlp), steps=5))
    assert losses[1] == pytest.approx(losses[0], abs=1e-2)


@pytest.mark.parametrize("numbers", [NUMBERS[1][0], NUMBERS[2][0]], ids=["LoRA in 16 bits", "QLoRA"])
def test_few_bits_learn(make_nlp, gold_examples, train, tiny_llama, tmp_path, numbers, found):
    nlp = make_nlp(**settings_of(tiny_llama, DEVICE, **numbers))
    examples = gold_examples(nlp)
    losses = train(nlp, examples)
    assert losses[-1] < losses[0] / 3
    nlp.to_disk(tmp_path)
    docs = [[copy_input(example.reference) for example in examples] for _ in range(2)]
    assert found(spacy.load(tmp_path).pipe(docs[0])) == found(nlp.pipe(docs[1]))


def test_a_reader_on_another_model_learns(make_nlp, gold_examples, train, tiny_llama, tmp_path):
    from spacy_ragre.components.relations.open_labels import OpenRelations
    from spacy_ragre.components.relations.open_scorer import OpenScorer

    spec = {"kind": "causal", "name": str(tiny_llama), "dtype": "float32", "device": DEVICE, "lora": {"rank": 2}}
    torch.manual_seed(0)
    reader = OpenRelations.build({"backbone": spec, "width": 32, "views": [8, 8, 16], "fuse": 8}, {})
    nlp = make_nlp(weights="open", answer="open")
    scorer: OpenScorer = nlp.get_pipe("rag_relation_extractor").predictor.open
    examples = gold_examples(nlp)
    instances = nlp.get_pipe("rag_relation_extractor")._gold([example.reference for example in examples])
    scorer.shim.start(reader, None)
    passes = list(scorer.begin_update(instances, nlp.get_pipe("rag_relation_extractor").predictor.labels, 0.0))
    for one in passes:
        one.backprop(np.ones_like(one.logits))
    assert passes and any(value.grad is not None for value in scorer.shim.parameters().values())


def test_a_filter_learns_as_on_a_cpu(gold_examples, tiny_bert):
    losses = []
    for device in ("cpu", DEVICE):
        encoder = {"@architectures": "ragre.HuggingFaceEncoder.v1", "name": str(tiny_bert), "device": device}
        model = {"@architectures": "ragre.PairFilter.v1", "encoder": encoder, "hidden": 16, "block": 8}
        nlp = spacy.blank("en")
        pipe = nlp.add_pipe("pair_candidate_filter", config={"model": model, "label_weight": 0.5})
        examples = gold_examples(nlp)
        torch.manual_seed(0)
        nlp.initialize(lambda examples=examples: examples)
        # In training, dropout is drawn on the device.
        scores = pipe.score_pairs([example.predicted for example in examples])
        sgd = nlp.create_optimizer()
        sgd.learn_rate = 0.01
        values = [nlp.update(examples, sgd=sgd)["pair_candidate_filter"] for _ in range(12)]
        assert values[-1] < values[0]
        losses.append(np.concatenate([part.ravel() for part in scores]))
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-3)


@pytest.mark.skipif(DEVICE == "cpu", reason="is about the memory of a GPU")
def test_more_pairs_need_no_more_memory(tiny_llama):
    backbone = CausalLM(str(tiny_llama), device=DEVICE, dtype="float32", batch_tokens=1024)
    peaks = []
    for pairs in (400, 400, 1600):
        torch.cuda.reset_peak_memory_stats()
        packed(backbone, make_prompts(pairs, document=600))
        peaks.append(torch.cuda.max_memory_allocated())
    assert peaks[2] < 1.1 * peaks[1]


def test_a_killed_training_goes_on(spacy_training, make_nlp, gold_docs, tiny_llama):
    nlp = make_nlp(**settings_of(tiny_llama, DEVICE))
    docs = gold_docs(nlp)
    trained = [spacy_training(nlp, docs, "whole")[0]]
    spacy_training(nlp, docs, "killed", 5)
    trained.append(spacy_training(nlp, docs, "killed")[0])
    whole, resumed = (each.get_pipe("rag_relation_extractor").model.shims[0].parameters() for each in trained)
    for name, value in whole.items():
        assert torch.allclose(value, resumed[name], atol=1e-4)
