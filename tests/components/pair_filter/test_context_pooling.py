"""Context pooling against a slow reference that goes through documents, pairs and heads one by one."""

import math

import numpy as np
import pytest
import torch

from spacy_ragre.components.pair_filter import context_pooling
from spacy_ragre.components.pair_filter.context_pooling import (
    SPECIALS,
    ContextPooling,
    Encoded,
    distance_buckets,
    pool_mentions,
)
from spacy_ragre.components.pair_filter.encoders import HuggingFaceEncoder, PairInput


def reference_states(encoder, item):
    """States, attentions from each marker and marker places, averaged over windows; a window at a time."""
    pieces = encoder._pieces(item)
    size = len(pieces.ids) + SPECIALS
    hidden, counts = torch.zeros(size, encoder.width), torch.zeros(size)
    places = {start: place for start, place in pieces.starts.items()}
    rows = {place: [] for place in places.values()}
    for start, end in encoder._windows(len(pieces.ids)):
        ids = torch.tensor([[*encoder._before, *pieces.ids[start:end], *encoder._after]])
        output = encoder.model(input_ids=ids, attention_mask=torch.ones_like(ids), output_attentions=True)
        positions = [0, *range(start + SPECIALS, end + SPECIALS), 1]
        for row, position in enumerate(positions):
            hidden[position] += output.last_hidden_state[0, row]
            counts[position] += 1
        for place in rows:
            if start <= place < end:
                attention = torch.zeros(encoder.model.config.num_attention_heads, size)
                for column, position in enumerate(positions):
                    attention[:, position] += output.attentions[-1][0, :, place - start + 1, column]
                rows[place].append(attention)
    assert all(rows.values())
    attentions = {place: sum(found) / len(found) for place, found in rows.items()}
    return hidden / counts.unsqueeze(1), attentions, places


def reference_scores(encoder, pooling, item, types):
    """The published equations, for one pair after the other."""
    encoder.model.eval()
    hidden, attentions, places = reference_states(encoder, item)
    entities, looks = [], []
    for cluster in item.clusters:
        mentions = [places[start] for start, _ in cluster]
        states = [hidden[place + SPECIALS] for place in mentions]
        entities.append(torch.log(sum(torch.exp(state) for state in states)))
        looks.append(sum(attentions[place] for place in mentions) / len(mentions))
    result = torch.zeros(len(entities), len(entities), 1 + pooling.label.out_features)
    for h, (head, head_look) in enumerate(zip(entities, looks)):
        for t, (tail, tail_look) in enumerate(zip(entities, looks)):
            product = sum(head_look[k] * tail_look[k] for k in range(len(head_look))) / len(head_look)
            weights = product / (product.sum() + 1e-5)
            context = sum(weight * state for weight, state in zip(weights, hidden))
            nearest = min(abs(a - b) for a, _ in item.clusters[h] for b, _ in item.clusters[t])
            inverse = min(item.clusters[h])[0] > min(item.clusters[t])[0]
            bucket = 2 * min(11, int(math.log2(nearest + 1))) + inverse
            z_head = pooling.head_entity(head) + pooling.head_context(context)
            z_tail = pooling.tail_entity(tail) + pooling.tail_context(context)
            z_head = z_head + pooling.head_type.weight[types[h]] + pooling.head_distance.weight[bucket]
            z_tail = z_tail + pooling.tail_type.weight[types[t]] + pooling.tail_distance.weight[bucket]
            z_head, z_tail = torch.tanh(z_head), torch.tanh(z_tail)
            products = []
            for group, matrix in enumerate(pooling.bilinear):
                part = slice(group * pooling.block, (group + 1) * pooling.block)
                products.append((z_head[part] @ matrix) * z_tail[part])
            product = torch.cat(products)
            scaled = (product - product.mean()) / torch.sqrt(product.var(unbiased=False) + 1e-5)
            labels = pooling.label(scaled)
            result[h, t] = torch.cat([torch.log(torch.exp(labels).sum()) + pooling.bias, labels])
    return result


def make_pooling(width=16, **settings):
    torch.manual_seed(1)
    pooling = ContextPooling(width, hidden=24, block=8, types=3, labels=2, **settings)
    for parameter in pooling.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return pooling


def run(encoder, pooling, items):
    most = max(len(item.clusters) for item in items)
    types = torch.zeros((len(items), most), dtype=torch.long)
    distances = torch.zeros((len(items), most, most), dtype=torch.long)
    for i, item in enumerate(items):
        count = len(item.clusters)
        types[i, :count] = torch.tensor(["?AB".index(name) for name in item.types])
        distances[i, :count, :count] = torch.from_numpy(distance_buckets(item.clusters))
    return pooling(encoder.read(items, False), types, distances), types


@pytest.fixture
def make_encoder(encoder_path):
    return lambda **settings: HuggingFaceEncoder(encoder_path, device="cpu", **settings)


@pytest.mark.parametrize("batch_tokens", [4096, 60])
@pytest.mark.parametrize("overlap", [0, 12, 32])
def test_agrees_with_the_reference(make_encoder, make_input, overlap, batch_tokens):
    # One window, several windows, one entity, and entities that share places.
    encoder = make_encoder(overlap=overlap, window=64, batch_tokens=batch_tokens)
    items = [make_input(8, 3, 0), make_input(60, 5, 1), make_input(3, 1, 2), make_input(25, 6, 3)]
    pooling = make_pooling()
    with torch.no_grad():
        logits, types = run(encoder, pooling, items)
        for i, item in enumerate(items):
            count = len(item.clusters)
            expected = reference_scores(encoder, pooling, item, types[i])
            torch.testing.assert_close(logits[i, :count, :count], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("limit", [1, 2000, 1 << 23])
def test_long_documents_in_segments_and_blocks_give_the_same(make_encoder, make_input, limit, monkeypatch):
    encoder = make_encoder(overlap=16)
    item = make_input(150, 12, 4)
    with torch.no_grad():
        whole, types = run(encoder, make_pooling(), [item])
        monkeypatch.setattr(context_pooling, "SEGMENT", 40)
        pooling = make_pooling(limit=limit)
        parts, _ = run(encoder, pooling, [item])
        torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(parts[0], reference_scores(encoder, pooling, item, types[0]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("segment", [40, 1024])
def test_gradients_are_those_of_the_reference(make_encoder, make_input, segment, monkeypatch):
    monkeypatch.setattr(context_pooling, "SEGMENT", segment)
    item = make_input(60, 4, 5)
    gradients = []
    for reference in (False, True):
        encoder, pooling = make_encoder(overlap=16), make_pooling()
        torch.manual_seed(0)
        encoder.model.eval()
        logits, types = run(encoder, pooling, [item])
        if reference:
            logits = reference_scores(encoder, pooling, item, types[0])
        mask = ~torch.eye(4, dtype=torch.bool)
        (logits.view(4, 4, 3)[mask].flatten() * torch.arange(36)).sum().backward()
        gradients.append({**dict(pooling.named_parameters()), **encoder.parameters()})
    assert set(gradients[0]) == set(gradients[1])
    for name, parameter in gradients[0].items():
        expected = gradients[1][name].grad
        assert (parameter.grad is None) == (expected is None), name
        if expected is not None:
            torch.testing.assert_close(parameter.grad, expected, rtol=1e-3, atol=1e-3)


def test_types_and_distances_can_be_left_out_and_start_at_zero(make_encoder, make_input):
    encoder, item = make_encoder(), make_input(20, 4, 6)
    torch.manual_seed(0)
    plain = ContextPooling(16, hidden=24, block=8, types=0, distances=False)
    full = ContextPooling(16, hidden=24, block=8, types=3)
    full.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        torch.testing.assert_close(run(encoder, plain, [item])[0], run(encoder, full, [item])[0])


def test_direction_matters(make_encoder, make_input):
    with torch.no_grad():
        logits = run(make_encoder(), make_pooling(), [make_input(20, 4, 7)])[0][0]
    assert not torch.allclose(logits, logits.transpose(0, 1), atol=1e-3)


def test_pooled_mentions():
    hidden = torch.randn(1, 5, 3)
    starts = torch.tensor([[[0, 2], [4, -1], [-1, -1]]])
    pooled = pool_mentions(hidden, starts)
    torch.testing.assert_close(pooled[0, 0], torch.logsumexp(hidden[0, [0, 2]], dim=0))
    torch.testing.assert_close(pooled[0, 1], hidden[0, 4])
    assert (pooled[0, 2] == 0).all()


def test_no_entities():
    empty = np.zeros(0, dtype="int64")
    encoded = Encoded(
        torch.zeros(2, 3, 4), torch.zeros(0, 2, 3), torch.zeros(0, 3).long(), empty, empty, empty, empty, empty,
        torch.zeros(2, 0, 0).long(),
    )  # fmt: skip
    pooling = ContextPooling(4, 8, 8)
    assert pooling(encoded, torch.zeros(2, 0).long(), torch.zeros(2, 0, 0).long()).shape == (2, 0, 0, 1)


def test_distance_buckets():
    clusters = [[(0, 1), (50, 51)], [(3, 4)], [(1, 2), (2, 3)], [(0, 2)], [(100000, 100001)]]
    buckets = distance_buckets(clusters)
    assert buckets.shape == (5, 5)
    assert buckets[0].tolist() == [0, 4, 2, 0, 22]
    assert buckets[:, 0].tolist() == [0, 5, 3, 0, 23]
    assert buckets[1, 2] == 2 * 1 + 1  # one token between the nearest; head after tail
    assert distance_buckets([]).shape == (0, 0)


# The encoder


def test_windows_hold_each_mention_whole(make_encoder, make_input):
    encoder = make_encoder(window=32, overlap=10)
    item = make_input(100, 10, 8)
    encoder.model.eval()
    pieces = encoder._pieces(item)
    windows = list(encoder._windows(len(pieces.ids)))
    assert windows[0][0] == 0 and windows[-1][1] == len(pieces.ids)
    assert all(end - start == 30 for start, end in windows)
    assert all(second[0] <= first[1] - 10 for first, second in zip(windows, windows[1:]))
    for place in pieces.starts.values():
        # A marker and the word after it, of at most five letters.
        assert any(start <= place and place + 6 <= end for start, end in windows) or place + 6 > len(pieces.ids)


def test_markers_stand_around_mentions(make_encoder):
    import spacy
    from spacy.tokens import Doc

    doc = Doc(spacy.blank("en").vocab, words=["a", "b", "c", "d"])
    encoder = make_encoder()
    encoder.model.eval()
    item = PairInput(doc, [[(0, 2), (3, 4)], [(1, 2)]], ["A", "B"])
    pieces = encoder._pieces(item)
    assert encoder._tokenizer.convert_ids_to_tokens(pieces.ids) == list("*a*b*c*d*")
    assert pieces.starts == {0: 0, 1: 2, 3: 6}
    plain = make_encoder(marker="")
    plain.model.eval()
    assert plain._tokenizer.convert_ids_to_tokens(plain._pieces(item).ids) == list("abcd")


def test_words_of_a_document_are_no_control_tokens(make_encoder):
    import spacy
    from spacy.tokens import Doc

    encoder = make_encoder()
    encoder.model.eval()
    doc = Doc(spacy.blank("en").vocab, words=["a", "[SEP]", "b", "[PAD]"])
    pieces = encoder._pieces(PairInput(doc, [[(0, 1)], [(1, 2)]], ["", ""]))
    assert {0, 2, 3, 4}.isdisjoint(pieces.ids)
    # A word that is a special token alone can be a mention as any other.
    assert sorted(pieces.starts) == [0, 1]
    assert "".join(encoder._tokenizer.convert_ids_to_tokens(pieces.ids)).replace("##", "") == "*a**[SEP]*b[PAD]"


def test_mentions_of_whitespace(make_encoder):
    import spacy
    from spacy.tokens import Doc

    doc = Doc(spacy.blank("en").vocab, words=["a", " "], spaces=[False, False])
    for marker in ("*", ""):
        encoder = make_encoder(marker=marker)
        with torch.no_grad():
            encoded = encoder.read([PairInput(doc, [[(0, 1)], [(1, 2)]], ["", ""])], False)
        assert torch.isfinite(encoded.hidden).all() and len(encoded.rows) == 2


@pytest.mark.parametrize("settings", [{"window": 8}, {"overlap": 300}, {"overlap": -1}])
def test_windows_that_are_not_valid(make_encoder, settings):
    with pytest.raises(ValueError, match="R151"):
        make_encoder(**settings)


def test_missing_encoder(tmp_path):
    with pytest.raises(OSError, match="R201"):
        assert HuggingFaceEncoder(str(tmp_path / "nowhere")).width
    with pytest.raises(ValueError, match="R110"):
        HuggingFaceEncoder("x", lora={"rang": 3})
