"""A training that was killed goes on to the same weights, whatever learns."""

from typing import Any, Dict

import spacy


def test_language_model_with_lora(check_resuming, make_nlp, gold_docs, tiny_llama):
    backbone = {
        "@ragre_backbones": "ragre.CausalLM.v1",
        "name": str(tiny_llama),
        "device": "cpu",
        "lora": {"rank": 8, "alpha": 16, "dropout": 0.2},
    }
    model = {"@architectures": "ragre.LabelModel.v1", "backbone": backbone}
    nlp = make_nlp(model=model, both_orders=True)
    check_resuming(nlp, gold_docs(nlp), "rag_relation_extractor", accumulate_gradient=2)


def test_reader_of_open_labels(check_resuming, make_nlp, gold_docs, open_settings):
    nlp = make_nlp(**open_settings)
    check_resuming(nlp, gold_docs(nlp), "rag_relation_extractor")


def test_filter_of_pairs(check_resuming, gold_docs, tiny_bert):
    encoder = {"@architectures": "ragre.HuggingFaceEncoder.v1", "name": str(tiny_bert), "device": "cpu"}
    model: Dict[str, Any] = {"@architectures": "ragre.PairFilter.v1", "encoder": encoder, "hidden": 16, "block": 8}
    nlp = spacy.blank("en")
    nlp.add_pipe("pair_candidate_filter", config={"model": model, "label_weight": 0.5})
    check_resuming(nlp, gold_docs(nlp), "pair_candidate_filter")
