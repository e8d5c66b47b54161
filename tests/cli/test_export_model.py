"""Language models of pipelines as folders that servers load."""

import json
import os
import stat

import numpy as np
import pytest
import spacy
from gguf import GGUFWriter
from spacy.training import Example
from spacy.util import fix_random_seed

from spacy_ragre.instances import Instance
from spacy_ragre.llm import exporting as exporting_module

PAIR = Instance("Acme was founded by Ann .", (0, 4), (20, 23))
SENTENCES = [("Acme was founded by Ann .", 0, 4, "founded_by"), ("Paris is located in France .", 0, 4, "located_in")]


def make(name, answer="trie", backbone="ragre.CausalLM.v1", **settings):
    nlp = spacy.blank("en")
    model = {
        "@architectures": "ragre.LabelModel.v1",
        "backbone": {"@ragre_backbones": backbone, "name": str(name), "device": "cpu", **settings},
    }
    labels = {"founded_by": "was founded by", "located_in": "is located in"}
    nlp.add_pipe(
        "rag_relation_extractor",
        config={"labels": labels, "model": model, "answer": answer, "weights": None, "n_examples": 0},
    )
    return nlp


def learn(nlp):
    fix_random_seed(0)
    examples = []
    for text, head, tail, label in SENTENCES:
        doc = nlp.make_doc(text)
        doc.ents = [doc.char_span(0, len(text.split()[0]), "X"), doc[4:5].char_span(0, len(doc[4].text), "X")]
        doc._.relations = [{"head": doc[head : head + 1], "tail": doc[tail : tail + 1], "label": label, "score": 1.0}]
        examples.append(Example(nlp.make_doc(text), doc))
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.02
    for _ in range(4):
        nlp.update(examples, sgd=optimizer)
    return nlp


@pytest.fixture(scope="module")
def trained(tiny_llama, tmp_path_factory):
    """A pipeline whose language model was tuned, and which asks for the likelihood of its labels."""
    path = tmp_path_factory.mktemp("trained") / "pipeline"
    learn(make(tiny_llama)).to_disk(path)
    return path


def pipeline_scores(path):
    predictor = spacy.load(path).get_pipe("rag_relation_extractor").predictor
    return predictor, predictor.score([PAIR]).scores[0]


def plain_scores(model, predictor):
    """Log-likelihoods of the labels by passes over single sequences."""
    import torch

    backbone = predictor.backbone
    prompt = list(backbone.tokenize(predictor.pieces(PAIR)).ids)
    scores = []
    for answer in backbone.encode_answers(predictor.prompt.answers(PAIR, predictor.labels)):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
        scores.append(float(logits.log_softmax(-1)[range(len(answer)), answer].sum()))
    return np.array(scores)


def test_a_merged_model_answers_as_the_pipeline_does(run, trained, tiny_llama, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    result = run("export-model", trained, tmp_path / "out", "--merge")
    assert result.exit_code == 0, result.output
    assert "3 prompts" in result.stdout and "the same in 100%" in result.stdout
    predictor, expected = pipeline_scores(trained)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert not any("lora" in name for name in model.state_dict())
    np.testing.assert_allclose(plain_scores(model, predictor), expected, atol=1e-3)
    base = AutoModelForCausalLM.from_pretrained(tiny_llama)
    assert np.abs(plain_scores(base, predictor) - expected).max() > 0.1
    assert AutoTokenizer.from_pretrained(tmp_path / "out")("Acme").input_ids
    about = json.loads((tmp_path / "out" / "ragre_export.json").read_text())
    assert about["form"] == "merged" and about["base"] == str(tiny_llama) and about["agreement"]["difference"] < 1e-3
    assert sorted([*about["files"], "ragre_export.json"]) == sorted(os.listdir(tmp_path / "out"))
    assert "model.safetensors" in about["files"]
    # An earlier export is replaced.
    assert run("export-model", trained, tmp_path / "out", "--adapter").exit_code == 0
    assert "model.safetensors" not in os.listdir(tmp_path / "out")


def test_an_adapter_answers_as_the_pipeline_does(run, trained, tiny_llama, tmp_path):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    result = run("export-model", trained, tmp_path / "out", "--adapter")
    assert result.exit_code == 0, result.output
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(tiny_llama) and config["task_type"] == "CAUSAL_LM"
    assert {"adapter_model.safetensors", "tokenizer.json"} <= set(os.listdir(tmp_path / "out"))
    predictor, expected = pipeline_scores(trained)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_llama), tmp_path / "out").eval()
    np.testing.assert_allclose(plain_scores(model, predictor), expected, atol=1e-3)


def test_a_pipeline_that_was_not_trained(run, fails, tiny_llama, tmp_path):
    make(tiny_llama, answer="generate").to_disk(tmp_path / "p")
    result = run("export-model", tmp_path / "p", tmp_path / "out")
    assert result.exit_code == 0 and "which was not trained" in result.stdout
    assert "R744" in fails("export-model", tmp_path / "p", tmp_path / "adapter", "--adapter")
    assert not (tmp_path / "adapter").exists()


def test_exports_that_other_pipelines_use_stay_as_they_are(run, trained, tmp_path):
    # Language models of one process share the base's weights.
    predictor, expected = pipeline_scores(trained)
    assert run("export-model", trained, tmp_path / "out").exit_code == 0
    np.testing.assert_array_equal(predictor.score([PAIR]).scores[0], expected)


def test_answers_that_no_language_model_writes(fails, run, trained, tiny_llama, tiny_t5, pipeline, tmp_path):
    spacy.load(trained, config={"components.rag_relation_extractor.answer": "head"}).to_disk(tmp_path / "head")
    assert "R741" in fails("export-model", tmp_path / "head", tmp_path / "out")
    blank = spacy.blank("en")
    blank.add_pipe("rag_relation_extractor", config={"labels": {"founded_by": "was founded by"}})
    blank.to_disk(tmp_path / "open")
    message = fails("export-model", tmp_path / "open", tmp_path / "out")
    assert "R742" in message and "reader of labels" in message and "weights = null" in message
    make(tiny_t5, backbone="ragre.Seq2SeqLM.v1").to_disk(tmp_path / "t5")
    assert "R742" in fails("export-model", tmp_path / "t5", tmp_path / "out")
    assert "R740" in fails("export-model", pipeline, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_on_a_server_is_there_already(fails, tmp_path):
    nlp = spacy.blank("en")
    backbone = {"@ragre_backbones": "ragre.OpenAI.v1", "name": "m", "url": "http://localhost:9/v1"}
    model = {"@architectures": "ragre.LabelModel.v1", "backbone": backbone}
    nlp.add_pipe("rag_relation_extractor", config={"labels": {"a": "a"}, "model": model})
    nlp.to_disk(tmp_path / "p")
    message = fails("export-model", tmp_path / "p", tmp_path / "out")
    assert "R742" in message and "on a server already" in message


def test_soft_prompts_are_refused(fails, tiny_llama, tmp_path):
    nlp = spacy.blank("en")
    config = {"labels": {"a": "a"}, "model": {"backbone": {"name": str(tiny_llama), "device": "cpu"}}}
    nlp.add_pipe("etrag_extractor", config=config)
    nlp.to_disk(tmp_path / "p")
    message = fails("export-model", tmp_path / "p", tmp_path / "out")
    assert "R742" in message and "vectors" in message


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_merging_into_a_quantised_base_is_refused(fails, run, trained, tiny_llama, tmp_path, quantization):
    nlp = learn(make(tiny_llama, quantization=quantization))
    nlp.to_disk(tmp_path / "p")
    message = fails("export-model", tmp_path / "p", tmp_path / "out", "--merge")
    assert "R743" in message and quantization in message and "--adapter" in message
    assert not (tmp_path / "out").exists()
    result = run("export-model", tmp_path / "p", tmp_path / "out", "--adapter")
    assert result.exit_code == 0, result.output


def test_a_folder_that_holds_something_else(fails, trained, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("a file")
    assert "thesis.txt" in (message := fails("export-model", trained, tmp_path / "home")) and "R748" in message
    assert "R748" in fails("export-model", trained, tmp_path / "file")
    (tmp_path / "home" / "ragre_export.json").write_text("nonsense")
    assert "R748" in fails("export-model", trained, tmp_path / "home")
    assert (tmp_path / "home" / "thesis.txt").read_text() == "years of work"


def test_a_full_disk_leaves_nothing(fails, trained, tmp_path, monkeypatch):
    from safetensors import SafetensorError
    from transformers import PreTrainedModel

    def full(*args, **kwargs):
        raise SafetensorError("Error while serializing: IoError(No space left on device)")

    monkeypatch.setattr(PreTrainedModel, "save_pretrained", full)
    message = fails("export-model", trained, tmp_path / "out")
    assert "R214" in message and "No space left" in message
    assert os.listdir(tmp_path) == []


def test_answers_that_differ_are_an_error(fails, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting_module, "_LIMITS", {"float32": 1e-12})
    monkeypatch.setattr(exporting_module, "_scores", lambda *_: [np.zeros(5)] * 3)
    assert "R745" in fails("export-model", trained, tmp_path / "out")
    assert os.listdir(tmp_path) == []


def converter(folder, body):
    path = folder / "convert-hf-to-gguf"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return f"{folder}{os.pathsep}/bin{os.pathsep}/usr/bin"


def write_vocabulary(path, kind, types):
    writer = GGUFWriter(path, "llama")
    writer.add_tokenizer_model(kind)
    writer.add_token_list(["a", "<0x00>"])
    if types is not None:
        writer.add_token_types(types)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_gguf_by_the_converter_that_is_installed(run, fails, trained, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    message = fails("export-model", trained, tmp_path / "out", "--gguf")
    assert "R746" in message and "convert-hf-to-gguf" in message
    assert "R323" in fails("export-model", trained, tmp_path / "out", "--adapter", "--gguf")
    monkeypatch.setenv("PATH", converter(tmp_path, 'echo "Model architecture not supported" >&2; exit 3'))
    message = fails("export-model", trained, tmp_path / "out", "--gguf")
    assert "R747" in message and "code 3" in message and "not supported" in message
    assert not (tmp_path / "out").exists()
    made = tmp_path / "made.gguf"
    converter(tmp_path, f'test -f "$1/config.json" && cp {made} "$3"')
    for kind, types, problem in (("llama", [1, 1], "without bytes"), ("gpt2", None, "can't be read")):
        write_vocabulary(made, kind, types)
        message = fails("export-model", trained, tmp_path / "out", "--gguf")
        assert "R760" in message and problem in message and not (tmp_path / "out").exists()
    for kind, types in (("llama", [1, 6]), ("gpt2", [1, 1])):
        write_vocabulary(made, kind, types)
        assert run("export-model", trained, tmp_path / "out", "--gguf").exit_code == 0
        assert (tmp_path / "out" / "model.gguf").read_bytes() == made.read_bytes()
