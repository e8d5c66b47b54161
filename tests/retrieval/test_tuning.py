import random
import sys
from dataclasses import replace

import numpy as np
import pytest

from spacy_ragre.instances import Answer, Instance
from spacy_ragre.labels import LabelSet
from spacy_ragre.retrieval import Retriever, TextEncoder, tune_encoder
from spacy_ragre.retrieval.tuning import _batches, _group

NAMES = ["acme", "globex", "initech", "umbrella", "hooli", "stark", "wayne", "wonka", "soylent", "tyrell"]
SETTINGS = {"max_steps": 80, "epochs": 100, "batch_size": 12, "learning_rate": 3e-3}


def label_agreement(encoder, instances):
    retriever = Retriever(encoder, k=1)
    retriever.add(instances)
    return np.mean(
        [found[0].instance.answers == query.answers for query, found in zip(instances, retriever.retrieve(instances))]
    )


@pytest.fixture
def noisy(instances):
    """Sentences of many names, so that those with the same names are nearer than those with the same verb."""
    rng = random.Random(1)
    result = []
    for item in instances:
        noise = " , ".join(rng.choices(NAMES, k=6))
        shift = len(noise) + 3
        first, second = ((start + shift, end + shift) for start, end in (item.first, item.second))
        result.append(replace(item, text=f"{noise} , {item.text}", first=first, second=second))
    return result


@pytest.fixture(scope="module")
def sentence_transformers():
    return pytest.importorskip("sentence_transformers")


def test_tuned_encoder_finds_the_label(sentence_transformers, bert, noisy, tmp_path):
    instances = noisy
    encoder = TextEncoder(bert)
    before = encoder.fingerprint
    losses = []
    tuned = tune_encoder(
        encoder, instances, callback=lambda step, steps, loss: losses.append((step, steps, loss)), **SETTINGS
    )
    assert label_agreement(encoder, instances) < 0.7
    assert label_agreement(tuned, instances) > 0.95
    assert [step for step, _, _ in losses] == list(range(1, 81)) and {steps for _, steps, _ in losses} == {80}
    assert losses[-1][2] < losses[0][2]
    assert tuned.tuned and tuned.text == "marked" and not tuned.model.training
    assert encoder.fingerprint == before and encoder.text == "sentence" and tuned.fingerprint != before

    retriever = Retriever(tuned, k=2)
    retriever.add(instances)
    retriever.to_disk(tmp_path / "retriever")
    loaded = Retriever(TextEncoder(bert), k=2).from_disk(tmp_path / "retriever")
    assert loaded.retrieve(instances) == retriever.retrieve(instances)


def test_same_seed_gives_the_same_weights(sentence_transformers, bert, instances):
    import torch

    settings = {**SETTINGS, "max_steps": 2}
    state = torch.random.get_rng_state()
    first = tune_encoder(TextEncoder(bert), instances, seed=3, **settings)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(99)
    second = tune_encoder(TextEncoder(bert), instances, seed=3, **settings)
    other = tune_encoder(TextEncoder(bert), instances, seed=4, **settings)
    assert first.fingerprint == second.fingerprint != other.fingerprint


def test_steps_follow_epochs(sentence_transformers, bert, instances):
    steps = []
    tune_encoder(
        TextEncoder(bert), instances, epochs=2, batch_size=25, callback=lambda step, total, _: steps.append(total)
    )
    assert steps == [6] * 6


def test_negatives_are_true_negatives():
    labels = ["a", "b", "c", "d"]
    rng = random.Random(0)
    instances = [
        Instance(f"t{i}", (0, 1), (1, 2), answers=tuple(map(Answer, rng.sample(labels, rng.randint(0, 2)))))
        for i in range(80)
    ]
    groups = _group(instances, None)
    sampler = _batches(groups, 7, random.Random(0))
    seen = set()
    for _ in range(50):
        batch = next(sampler)
        assert 7 <= sum(map(len, batch)) <= 8
        for group in batch:
            answers = [[set(side.answers) or {None} for side in pair] for pair in group]
            for i, (anchor, positive) in enumerate(answers):
                assert anchor & positive and group[i][0].text != group[i][1].text
                seen |= anchor & positive
                for j, other in enumerate(answers):
                    assert i == j or not anchor & (other[0] | other[1])
    assert seen == {None, *map(Answer, labels)}


def test_symmetric_labels_are_one_answer():
    instances = [
        Instance(f"t{i}", (0, 1), (1, 2), answers=(Answer("married", bool(i % 2)),) if i < 4 else ()) for i in range(8)
    ]
    labels = LabelSet({"married": {"symmetric": True}})
    assert set(_group(instances, labels).members) == {None, Answer("married")}
    assert set(_group(instances, None).members) == {None, Answer("married"), Answer("married", True)}


def test_instances_that_cannot_be_learnt_from(sentence_transformers, bert, make_instance, instances):
    encoder = TextEncoder(bert)
    with pytest.raises(ValueError, match=r"\[R221\] 1 of 61 .* number 60"):
        tune_encoder(encoder, [*instances, make_instance("acme", "sued", "ann", "?")])
    one_label = [item for item in instances if item.answers == (Answer("hired_by"),)]
    for few in ([], one_label, [*one_label, make_instance("acme", "sued", "ann")]):
        with pytest.raises(ValueError, match=r"\[R222\]"):
            tune_encoder(encoder, few)
    with pytest.raises(ValueError, match=r"\[R222\]"):
        tune_encoder(encoder, [make_instance("acme", "sued", "ann"), make_instance("acme", "sued", "ann")] * 2)


@pytest.mark.parametrize("setting", ["epochs", "batch_size", "learning_rate", "temperature"])
def test_wrong_settings(sentence_transformers, bert, instances, setting):
    with pytest.raises(ValueError, match=r"\[R202\] Setting " + setting):
        tune_encoder(TextEncoder(bert), instances, **{setting: 0})


def test_missing_sentence_transformers(monkeypatch, bert, instances):
    for name in ("sentence_transformers.sentence_transformer.losses", "sentence_transformers.losses"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"\[R220\].*spacy-ragre\[tune\]"):
        tune_encoder(TextEncoder(bert), instances)
