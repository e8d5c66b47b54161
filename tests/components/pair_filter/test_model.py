"""The filter's model: learning, saving, and encoders by spacy-transformers."""

import json
import sys

import numpy as np
import pytest
import safetensors.torch
import spacy
from spacy.tokens import Doc
from thinc.api import Adam, fix_random_seed

from spacy_ragre.components.pair_filter.encoders import HuggingFaceEncoder, PairInput
from spacy_ragre.components.pair_filter.model import PairFilter
from spacy_ragre.components.pair_filter.transformer_encoder import create_transformer_encoder
from spacy_ragre.components.relations.open_encoder import from_bert
from spacy_ragre.components.relations.open_scorer import OpenScorer
from spacy_ragre.registry import registry


@pytest.fixture
def make_model(encoder_path):
    def make(lora=None, encoder=None, initialize=True, freeze_words=False, **settings):
        fix_random_seed(0)
        options = {"device": "cpu", "overlap": 16, "lora": lora, "freeze_words": freeze_words}
        encoder = encoder or HuggingFaceEncoder(encoder_path, **options)
        model = PairFilter(encoder, **{"hidden": 16, "block": 8, "head_rate": 1.0, **settings})
        if initialize:
            model.shims[0].init(["B", "A", "B"], 16)
        return model

    return make


def train(model, inputs, steps=30, rate=0.01):
    """Learn that the first entity is the head of all others; gives the losses."""
    optimizer = Adam(rate)
    gold = [np.zeros((len(i.clusters), len(i.clusters), 1), dtype="float32") for i in inputs]
    for part in gold:
        part[:1] = 1
    losses = []
    for _ in range(steps):
        logits, backprop = model.begin_update(inputs)
        gradient = [1 / (1 + np.exp(-part)) - g for part, g in zip(logits, gold)]
        losses.append(float(sum((part**2).sum() for part in gradient)))
        backprop(gradient)
        model.finish_update(optimizer)
    return losses


def same(first, second):
    return all(np.allclose(a, b, atol=1e-5) for a, b in zip(first, second))


def off_diagonal(logits):
    return [part[~np.eye(len(part), dtype=bool)] for part in logits]


@pytest.fixture
def inputs(make_input):
    return [make_input(20, 3, 0), make_input(90, 4, 1), make_input(6, 2, 2)]


@pytest.mark.parametrize("lora", [None, {"rank": 4, "alpha": 8}])
def test_learns_and_saves(make_model, inputs, lora, encoder_path):
    model = make_model(lora)
    before = model.predict(inputs)
    losses = train(model, inputs)
    assert losses[-1] < losses[0] / 2
    expected = model.predict(inputs)
    assert [part.shape for part in expected] == [(3, 3, 1), (4, 4, 1), (2, 2, 1)] and not same(before, expected)
    again = make_model(lora, initialize=False).from_bytes(model.to_bytes())
    assert not again.shims[0].encoder.is_loaded and again.shims[0].is_ready
    # What was never put into the model is saved as it came.
    third = make_model(lora, initialize=False).from_bytes(again.to_bytes())
    assert same(again.predict(inputs), expected) and same(third.predict(inputs), expected)
    first, second = (safetensors.torch.load(m.shims[0].to_bytes()) for m in (model, again))
    assert all((second[name] == tensor).all() for name, tensor in first.items()) and set(first) == set(second)
    assert again.shims[0].types == ["A", "B"]
    assert lora or encoder_path.encode() not in model.to_bytes()


def test_labels_are_scored_and_saved(make_model, inputs):
    model = make_model()
    model.shims[0].init(["A", "B"], 16, ["r", "p", "q", "p"])
    expected = model.predict(inputs)
    assert [part.shape for part in expected] == [(3, 3, 4), (4, 4, 4), (2, 2, 4)]
    again = make_model(initialize=False).from_bytes(model.to_bytes())
    assert again.shims[0].labels == ["p", "q", "r"] and same(again.predict(inputs), expected)
    for part in expected:
        offsets = part[..., 0] - np.log(np.exp(part[..., 1:]).sum(axis=2))
        assert offsets == pytest.approx(np.full(part.shape[:2], -np.log(3)), abs=1e-5)
    logits, backprop = model.begin_update(inputs)
    backprop([np.concatenate([part[..., :1] * 0, part[..., 1:]], axis=2) for part in logits])
    pooling = model.shims[0].pooling
    assert pooling.bias.grad == 0 and (pooling.label.weight.grad != 0).any()


def test_lora_trains_and_saves_the_adapter_only(make_model, inputs):
    model = make_model({"rank": 2})
    shim = model.shims[0]
    assert {name.split(".")[0] for name in shim.parameters()} == {"pooling", "encoder"}
    assert all("lora" in name for name in shim.parameters() if name.startswith("encoder."))
    # The first step moves the second matrix of each adapter, the next ones the first, too.
    before = {name: value.detach().clone() for name, value in shim.parameters().items()}
    train(model, inputs, steps=3)
    assert all(not (value == before[name]).all() for name, value in shim.parameters().items() if "type" not in name)
    assert len(shim.to_bytes()) < len(make_model().shims[0].to_bytes()) / 2


def test_the_adapter_refuses_another_base(make_model, inputs, encoder_path, tmp_path):
    from transformers import AutoTokenizer, BertConfig, BertModel

    saved = make_model({"rank": 2}).to_bytes()
    BertModel(BertConfig.from_pretrained(encoder_path)).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(encoder_path).save_pretrained(tmp_path)
    other = HuggingFaceEncoder(str(tmp_path), device="cpu", lora={"rank": 2})
    with pytest.raises(ValueError, match="R107"):
        make_model(encoder=other, initialize=False).from_bytes(saved).predict(inputs)


def test_frozen_words_stay_and_only_differences_are_saved(make_model, inputs, encoder_path):
    model = make_model(freeze_words=True)
    words = model.shims[0].encoder.model.get_input_embeddings().weight.detach().clone()
    untrained = safetensors.torch.load(model.shims[0].to_bytes())
    assert not any(tensor.any() for name, tensor in untrained.items() if name.startswith("encoder."))
    losses = train(model, inputs)
    expected, data = model.predict(inputs), model.to_bytes()
    assert losses[-1] < losses[0] / 2
    assert (model.shims[0].encoder.model.get_input_embeddings().weight == words).all()
    assert not any("word_embeddings" in name for name in safetensors.torch.load(model.shims[0].to_bytes()))
    again = make_model(freeze_words=True, initialize=False).from_bytes(data)
    assert same(again.predict(inputs), expected)
    # Saved again, differences stay what they are.
    third = make_model(freeze_words=True, initialize=False).from_bytes(again.to_bytes())
    assert again.shims[0].to_bytes() and same(third.predict(inputs), expected)
    assert len(model.shims[0].to_bytes()) < len(make_model().shims[0].to_bytes()) - words.numel() * 4


@pytest.mark.parametrize("precision", ["half", "int8"])
def test_fewer_bits_give_the_same_scores(make_model, inputs, precision):
    model = make_model(freeze_words=True)
    train(model, inputs, steps=5)
    expected, large = model.predict(inputs), model.shims[0].to_bytes()
    model.shims[0].shrink(precision)
    small = model.to_bytes()
    assert len(model.shims[0].to_bytes()) < len(large)
    again = make_model(freeze_words=True, initialize=False).from_bytes(small)
    for own in (model, again):
        for one, other in zip(own.predict(inputs), expected):
            assert one == pytest.approx(other, abs=0.02)


def test_lora_with_frozen_words(encoder_path):
    with pytest.raises(ValueError, match=r"R650.*'rank': 2"):
        HuggingFaceEncoder(encoder_path, lora={"rank": 2}, freeze_words=True)


def test_adapters_have_no_other_start(encoder_path):
    with pytest.raises(ValueError, match=r"R667.*'rank': 2.*weights = 'open'"):
        HuggingFaceEncoder(encoder_path, lora={"rank": 2}, weights="open")


@pytest.mark.real
def test_training_starts_from_the_reader_of_open_labels(make_model, inputs, encoder_path):
    with pytest.raises(ValueError, match="R668.*'open'"):
        HuggingFaceEncoder(encoder_path, weights="open").start()
    with pytest.raises(ValueError, match="R560"):
        HuggingFaceEncoder("all-MiniLM-L6-v2", weights="nowhere").start()
    encoder = HuggingFaceEncoder("all-MiniLM-L6-v2", device="cpu", freeze_words=True, weights="open")
    published = {name: value.clone() for name, value in encoder.model.state_dict().items()}
    encoder.start()
    reader = from_bert(encoder.model.state_dict())
    own = OpenScorer("open").reader.model.own_state()
    assert all(value.allclose(own[name], atol=1e-6) for name, value in reader.items())
    assert not reader["layers.0.out.weight"].allclose(published["encoder.layer.0.attention.output.dense.weight"])
    # What is saved is what differs from the model that was published, by the start and by training.
    model = make_model(encoder=encoder, initialize=False)
    model.shims[0].init(["A", "B"], encoder.width)
    train(model, inputs, steps=2, rate=1e-4)
    for weights in ("open", None):
        plain = HuggingFaceEncoder("all-MiniLM-L6-v2", device="cpu", freeze_words=True, weights=weights)
        again = make_model(encoder=plain, initialize=False).from_bytes(model.to_bytes())
        assert same(again.predict(inputs), model.predict(inputs))


def test_full_weights_need_no_base(make_model, inputs, tmp_path):
    model = make_model()
    nowhere = HuggingFaceEncoder(str(tmp_path / "nowhere"), device="cpu", overlap=16)
    again = make_model(encoder=nowhere, initialize=False).from_bytes(model.to_bytes())
    assert same(again.predict(inputs), model.predict(inputs))


def test_states_that_do_not_fit(make_model, inputs):
    full, lora = make_model().shims[0].to_bytes(), make_model({"rank": 2}).shims[0].to_bytes()

    def load(data, lora=None, **settings):
        model = make_model(lora, initialize=False, **settings)
        model.shims[0].from_bytes(data)
        model.predict(inputs)

    for data in (full[:100], full[:-10], b"x" * 50):
        with pytest.raises(ValueError, match="R150.*damaged"):
            load(data)
    with pytest.raises(ValueError, match="R150.*lora or freeze_words"):
        load(lora)
    with pytest.raises(ValueError, match="R107"):
        load(full, freeze_words=True)
    with pytest.raises(ValueError, match="R150.*another freeze_words"):
        load(lora, freeze_words=True)
    with pytest.raises(ValueError, match="R107"):
        load(full, {"rank": 2})
    with pytest.raises(ValueError, match="R150.*LoRA settings"):
        load(lora, {"rank": 3})
    with pytest.raises(ValueError, match="R150.*other settings"):
        load(full, hidden=24)
    header = json.loads(full[8 : 8 + int.from_bytes(full[:8], "little")])
    assert header["__metadata__"]["types"] == '["A", "B"]'


def test_use_params(make_model, inputs):
    model = make_model()
    optimizer = Adam(0.01, use_averages=True)
    logits, backprop = model.begin_update(inputs)
    backprop([np.ones_like(part) for part in logits])
    model.finish_update(optimizer)
    now = model.predict(inputs)
    shim = model.shims[0]
    averages = {(shim.id, "pooling.bias"): np.array([7.0], dtype="float32")}
    with model.use_params(averages):
        assert not same(model.predict(inputs), now)
    assert same(model.predict(inputs), now)
    with model.use_params({}):
        assert same(model.predict(inputs), now)


def test_batches_do_not_change_scores(make_model, inputs):
    model = make_model()
    together = model.predict(inputs)
    assert same(off_diagonal(together), off_diagonal([model.predict([item])[0] for item in inputs]))


def test_documents_without_pairs(make_model, make_input):
    nothing = PairInput(Doc(spacy.blank("en").vocab), [], [])
    one = make_input(5, 1)
    model = make_model()
    assert [part.shape for part in model.predict([nothing, one])] == [(0, 0, 1), (1, 1, 1)]
    assert not model.shims[0].encoder.is_loaded
    logits, backprop = model.begin_update([one, nothing])
    assert backprop([np.zeros_like(part) for part in logits]) == []
    model.finish_update(Adam(0.1))


def test_an_untrained_model_and_settings(make_model, inputs):
    with pytest.raises(ValueError, match="R521"):
        make_model(initialize=False).predict(inputs)
    assert make_model(initialize=False).shims[0].to_bytes() == b""
    for settings in ({"hidden": 20}, {"hidden": 4}, {"memory": 0}, {"block": 0}):
        with pytest.raises(ValueError, match="R154"):
            make_model(**settings)


def test_memory_is_bounded_by_blocks(make_model, make_input):
    item = make_input(60, 30, 3)
    small, large = make_model(memory=1), make_model(memory=256)
    small.shims[0].settings["memory"] = 0.001
    small.shims[0].init(["A", "B"], 16)
    large.shims[0].pooling.load_state_dict(small.shims[0].pooling.state_dict())
    assert small.shims[0].pooling.limit < 100
    assert same(small.predict([item]), large.predict([item]))


# spacy-transformers

trf = pytest.mark.filterwarnings("ignore")
ATTENTIONS = {"output_attentions": True, "attn_implementation": "eager"}


@pytest.fixture
def words():
    """A document of one piece a token, so that both encoders read the same pieces."""
    doc = Doc(spacy.blank("en").vocab, words=list("abcdefghij"))
    return PairInput(doc, [[(0, 1), (4, 5)], [(2, 4)], [(9, 10)]], ["A", "B", "A"])


@trf
def test_its_own_transformer_gives_the_same_as_the_plain_encoder(make_model, words, encoder_path):
    pytest.importorskip("spacy_transformers")
    plain = make_model(encoder=HuggingFaceEncoder(encoder_path, device="cpu", marker=""))
    encoder = create_transformer_encoder(encoder_path)
    model = make_model(encoder=encoder)
    encoder.layer.initialize(X=[words.doc])
    model.shims[0].pooling.load_state_dict(plain.shims[0].pooling.state_dict())
    assert same(off_diagonal(model.predict([words])), off_diagonal(plain.predict([words])))


@trf
def test_its_own_transformer_learns_in_windows(make_model, make_input, encoder_path):
    pytest.importorskip("spacy_transformers")
    encoder = create_transformer_encoder(encoder_path, window=8, stride=5)
    model = make_model(encoder=encoder)
    inputs = [make_input(20, 3, 0), PairInput(Doc(spacy.blank("en").vocab), [], []), make_input(33, 4, 1)]
    encoder.layer.initialize(X=[inputs[0].doc])
    weights = [p.detach().clone() for p in encoder.layer.layers[0].transformer.parameters()]
    losses = train(model, inputs)
    assert losses[-1] < losses[0] * 0.7
    changed = [not (p == w).all() for p, w in zip(encoder.layer.layers[0].transformer.parameters(), weights)]
    assert sum(changed) > len(changed) / 2
    again = make_model(encoder=create_transformer_encoder(encoder_path, window=8, stride=5), initialize=False)
    again.from_bytes(model.to_bytes())
    assert same(again.predict(inputs), model.predict(inputs))


@trf
def test_no_gradients_go_into_a_frozen_transformer(make_model, words, encoder_path):
    pytest.importorskip("spacy_transformers")
    encoder = create_transformer_encoder(encoder_path, grad_factor=0.0)
    model = make_model(encoder=encoder)
    encoder.layer.initialize(X=[words.doc])
    weights = [p.detach().clone() for p in encoder.layer.layers[0].transformer.parameters()]
    train(model, [words], steps=2)
    assert all((p == w).all() for p, w in zip(encoder.layer.layers[0].transformer.parameters(), weights))


@trf
def test_gradients_of_states_are_those_of_the_plain_encoder(make_model, words, encoder_path):
    """Where attentions are constants: the value matrix of the last layer has no other way to the score."""
    pytest.importorskip("spacy_transformers")
    import torch

    plain = HuggingFaceEncoder(encoder_path, device="cpu", marker="")
    encoder = create_transformer_encoder(encoder_path)
    found = []
    for own in (plain, encoder):
        model = make_model(encoder=own)
        if own is encoder:
            encoder.layer.initialize(X=[words.doc])
            torch_model = encoder.layer.layers[0].transformer
        else:
            torch_model = plain.model
        for module in torch_model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        logits, backprop = model.begin_update([words])
        backprop([np.ones_like(part) for part in logits])
        found.append(torch_model.encoder.layer[-1].attention.self.value.weight.grad.clone())
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-5)


@trf
def test_a_transformer_without_attentions(make_model, words, encoder_path):
    pytest.importorskip("spacy_transformers")
    encoder = create_transformer_encoder(encoder_path)
    encoder.layer.layers[0]._init_transformer_config["output_attentions"] = False
    model = make_model(encoder=encoder)
    encoder.layer.initialize(X=[words.doc])
    with pytest.raises(ValueError, match="R152"):
        model.predict([words])


def test_spacy_transformers_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "spacy_transformers", None)
    with pytest.raises(ImportError, match="R153"):
        registry.architectures.get("ragre.TransformerEncoder.v1")()
