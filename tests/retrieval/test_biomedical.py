"""The retrievers of RAMIE by name, on tiny models: pooling, prefixes, and keys of a sentence with its response."""

from pathlib import Path

import numpy as np
import pytest

from spacy_ragre.instances import Instance
from spacy_ragre.registry import registry
from spacy_ragre.retrieval import Retriever, TextEncoder, create_bmretriever, create_contriever, create_medcpt
from spacy_ragre.retrieval.packing import pack_instances, unpack_instances


def example(text, response="", id=""):
    return Instance(text, (0, len(text)), (0, len(text)), response=response, id=id)


def state(folder, text, pooling, end=False):
    """One text at a time, without padding."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(text)["input_ids"] + ([tokenizer.eos_token_id] if end else [])
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(folder).eval()(input_ids=torch.tensor([ids])).last_hidden_state[0]
    vector = {"mean": hidden.mean(0), "cls": hidden[0], "last": hidden[-1]}[pooling]
    return (vector / vector.norm()).numpy()


def test_response_is_read_of_examples_and_not_of_queries(bert):
    encoder = TextEncoder(bert, text="response")
    instance = example("ann hired bob", "acme")
    assert np.allclose(encoder.encode_queries([instance])[0], state(bert, "ann hired bob", "mean"), atol=1e-5)
    assert np.allclose(encoder.encode_examples([instance])[0], state(bert, "ann hired bob\nacme", "mean"), atol=1e-5)
    without = example("ann hired bob")
    assert np.allclose(encoder.encode_examples([without]), encoder.encode_queries([without]), atol=1e-6)


def test_example_with_the_query_text_is_found_by_another_text_only(bert):
    retriever = Retriever(TextEncoder(bert, text="response"))
    retriever.add([example("ann hired bob", "acme", "d1"), example("ann sued bob", "globex", "d2")])
    (found,) = retriever.retrieve([example("Ann  hired bob")], k=2)
    assert [neighbour.instance.response for neighbour in found] == ["globex"]


def test_responses_are_saved_with_the_store(bert, tmp_path):
    instances = [example("ann hired bob", "acme"), example("ann sued bob")]
    assert unpack_instances(pack_instances(instances)) == instances
    retriever = Retriever(TextEncoder(bert, text="response"))
    retriever.add(instances)
    retriever.to_disk(tmp_path / "store")
    assert Retriever(TextEncoder(bert, text="response")).from_disk(tmp_path / "store").store.instances == instances


def test_medcpt_pools_the_first_token_of_two_encoders(bert, make_bert):
    article = str(make_bert(seed=3))
    encoder = create_medcpt(query=bert, article=article)
    instance = example("ann hired bob", "acme")
    assert np.allclose(encoder.encode_queries([instance])[0], state(bert, "ann hired bob", "cls"), atol=1e-5)
    assert np.allclose(encoder.encode_examples([instance])[0], state(article, "ann hired bob\nacme", "cls"), atol=1e-5)
    assert encoder.query.max_length == 64 and encoder.passage.max_length == 512


def test_contriever_pools_the_mean_without_a_prefix(bert):
    encoder = create_contriever(bert)
    instance = example("ann hired bob", "acme")
    assert np.allclose(encoder.encode_queries([instance])[0], state(bert, "ann hired bob", "mean"), atol=1e-5)
    assert np.allclose(encoder.encode_examples([instance])[0], state(bert, "ann hired bob\nacme", "mean"), atol=1e-5)


def test_bmretriever_pools_the_end_token_after_an_instruction(tiny_llama: Path):
    folder = str(tiny_llama)
    encoder = create_bmretriever(folder, task="Find the like")
    values = [example("Paris is in France", "France"), example("Rome"), example("")]
    for row, instance in zip(encoder.encode_queries(values), values):
        text = f"Find the like\nQuery: {instance.text}"
        assert np.allclose(row, state(folder, text, "last", end=True), atol=1e-5)
    expected = state(folder, "Represent this passage\npassage: Paris is in France\nFrance", "last", end=True)
    assert np.allclose(encoder.encode_examples(values)[0], expected, atol=1e-5)


def test_end_token_stays_where_the_text_is_cut(tiny_llama: Path):
    encoder = TextEncoder(str(tiny_llama), pooling="last", max_length=8, end_token=True)
    (ids,) = encoder.tokenise(["Paris is located in France. " * 9])
    assert len(ids) == 8 and ids[-1] == encoder.tokenizer.eos_token_id
    plain = TextEncoder(str(tiny_llama), pooling="last", max_length=8)
    assert plain.fingerprint != encoder.fingerprint


@pytest.mark.parametrize(
    "name, model",
    [
        ("MedCPT", "ncbi/MedCPT-Query-Encoder"),
        ("Contriever", "facebook/contriever"),
        ("BMRetriever", "BMRetriever/BMRetriever-410M"),
    ],
)
def test_names_lead_to_the_published_models(name, model):
    encoder = registry.ragre_encoders.get(f"ragre.{name}.v1")()
    assert getattr(encoder, "query", encoder).name == model
    assert getattr(encoder, "query", encoder).text == "response"
