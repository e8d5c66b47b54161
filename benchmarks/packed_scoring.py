"""Packed scoring against separate prompts: the same answers, and how much faster.

    python -m benchmarks.packed_scoring --documents assets/redocred/dev_revised.json --sentences corpus/test.spacy

Each part prints one line and writes its figures into the result file. Ratios are of one run, with the same weights and
the same number of threads. Separate prompts are batched by length and padded little.
"""

import argparse
import random
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np
import spacy
from spacy.language import Language
from spacy.tokens import Doc
from tqdm import tqdm

from spacy_ragre.corpora import SEMEVAL_LABELS
from spacy_ragre.corpora.docred import find_relation_names, read_docred
from spacy_ragre.corpora.reader import copy_input, read_docs
from spacy_ragre.instances import Instance
from spacy_ragre.llm.attention.packing import TokenPrompt, pack
from spacy_ragre.llm.label_scoring import generate_texts
from spacy_ragre.prompts import make_rag4re_prompt
from spacy_ragre.relations import entity_spans

from .results import merge, peak_memory

NAME = "rag_relation_extractor"


def make_nlp(labels: Any, whole: bool, dtype: str, **backbone: Any) -> Language:
    """A pipeline with a label head that was not trained, which costs what a trained one does.

    whole (bool): for all pairs of a document, with the document in front of short questions; else for sentences.
    backbone (Any): other settings of the language model.
    """
    settings = {"@ragre_backbones": "ragre.CausalLM.v1", "name": "smollm2-135m-instruct", "dtype": dtype, **backbone}
    candidates = {"@ragre_candidates": "ragre.WholeDocument.v1", "max_tokens": 1000}
    prompt = {"@ragre_prompts": "ragre.Relation.v1", "instruction": False}
    config: Dict[str, Any] = {
        "labels": labels,
        "n_examples": 0,
        "model": {"@architectures": "ragre.LabelModel.v1", "backbone": settings},
        "prompt": {**prompt, "document": True, "marked": False, "types": True} if whole else prompt,
    }
    if whole:
        config["candidates"] = candidates
    nlp = spacy.blank("en")
    predictor = nlp.add_pipe(NAME, config=config).predictor
    predictor.init_head()
    predictor.trained = True
    return nlp


def pairs(nlp: Language, docs: Sequence[Doc]) -> List[List[Instance]]:
    component = nlp.get_pipe(NAME)
    return [[c.instance for c in component._candidates(doc)] for doc in docs]


def prompts_of(nlp: Language, instances: Sequence[Instance]) -> List[TokenPrompt]:
    return nlp.get_pipe(NAME).predictor._ids(instances, [[] for _ in instances])


def forward(nlp: Language, prompts: Sequence[TokenPrompt], share: bool) -> Any:
    """Logits of all prompts, packed or separate, *Shape* (prompts, classes)."""
    predictor = nlp.get_pipe(NAME).predictor
    logits = np.zeros((len(prompts), len(predictor.labels.classes)), dtype="float32")
    for chunk in pack(prompts, predictor.backbone.batch_tokens, share):
        logits[chunk.indexes] = predictor.model.predict(chunk)[0]
        chunk.release()
    return logits


def gradients(nlp: Language, prompts: Sequence[TokenPrompt], share: bool) -> Dict[str, Any]:
    """Gradients of a fixed loss by parameter."""
    predictor = nlp.get_pipe(NAME).predictor
    wanted = np.random.default_rng(0).normal(size=(len(prompts), len(predictor.labels.classes))).astype("float32")
    for chunk in pack(prompts, predictor.backbone.batch_tokens, share):
        _, backprop = predictor.model.begin_update(chunk)
        backprop(wanted[chunk.indexes] / len(prompts))
        chunk.release()
    found = {}
    for name, parameter in predictor.shim.parameters().items():
        found[name] = parameter.grad.clone()
        parameter.grad = None
    return found


def spread_adapter(nlp: Language) -> None:
    """Give the adapter weights that matter, since a new one changes nothing and has no gradient on one side."""
    import torch

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in nlp.get_pipe(NAME).predictor.backbone.adapter_parameters().values():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.02)


def timed(call: Callable[[], Any]) -> Tuple[float, Any]:
    import torch

    started = time.perf_counter()
    result = call()
    if torch.cuda.is_available():  # which works on after a call
        torch.cuda.synchronize()
    return time.perf_counter() - started, result


def best_of(count: int, call: Callable[[], Any]) -> float:
    """RETURNS (float): seconds of the fastest of some runs, the one that other processes disturbed least."""
    return min(timed(call)[0] for _ in range(count))


# Parts


def equality(nlp: Language, instances: Sequence[Sequence[Instance]]) -> Dict[str, Any]:
    largest, equal, total = 0.0, 0, 0
    for own in tqdm(instances, desc="documents, packed and separate"):
        prompts = prompts_of(nlp, own)
        together, alone = forward(nlp, prompts, True), forward(nlp, prompts, False)
        largest = max(largest, float(np.abs(together - alone).max()))
        equal += int((together.argmax(1) == alone.argmax(1)).sum())
        total += len(own)
    # The gradients of fewer pairs: separate prompts hold all activations of a batch.
    few = prompts_of(nlp, instances[0][:40])
    packed, separate = gradients(nlp, few, True), gradients(nlp, few, False)
    difference = max(float((packed[n] - separate[n]).norm() / separate[n].norm()) for n in separate)
    return {
        "documents": len(instances),
        "pairs": total,
        "largest_logit_difference": largest,
        "same_argmax": equal / total,
        "largest_relative_gradient_difference": difference,
    }


def documents(nlp: Language, instances: Sequence[Sequence[Instance]], sample: int) -> Dict[str, Any]:
    everything = [prompts_of(nlp, own) for own in instances]
    packed = best_of(2, lambda: [forward(nlp, prompts, True) for prompts in everything])
    count = sum(map(len, everything))
    # A separate prompt costs the same whatever others there are, so that a sample gives their speed.
    rng = random.Random(0)
    some = [prompt for prompts in everything for prompt in rng.sample(prompts, min(sample, len(prompts)))]
    separate = best_of(2, lambda: forward(nlp, some, False))
    return {
        "documents": len(instances),
        "pairs": count,
        "packed_pairs_per_second": count / packed,
        "separate_pairs_per_second": len(some) / separate,
        "ratio": (count / packed) / (len(some) / separate),
    }


def published(
    nlp: Language, instances: Sequence[Instance], directed: bool, sample: int, run: Callable[[], Any]
) -> Dict[str, Any]:
    """Against one prompt at a time and free generation of up to 30 tokens.

    directed (bool): whether the published prompt names each label twice, once for each direction.
    """
    predictor = nlp.get_pipe(NAME).predictor
    labels = predictor.labels
    prompt = make_rag4re_prompt(directed=directed)
    rng = random.Random(0)
    some = rng.sample(list(instances), min(sample, len(instances)))
    segments = [prompt.segments(instance, labels) for instance in some]
    pieces = [(s.instruction, (s.document,), s.pair_pieces()) for s in segments]
    seconds, _ = timed(lambda: [generate_texts(predictor.backbone, [one]) for one in pieces])
    ours = best_of(2, run)
    return {
        "pairs": len(instances),
        "pairs_per_second": len(instances) / ours,
        "published_pairs_per_second": len(some) / seconds,
        "ratio": (len(instances) / ours) / (len(some) / seconds),
    }


def overhead(nlp: Language, docs: Sequence[Doc]) -> Dict[str, Any]:
    """Share of the wall time that is not the model's own forward passes."""
    predictor = nlp.get_pipe(NAME).predictor
    inside = 0.0
    original = predictor.backbone.states

    def states(chunk: Any) -> Any:
        nonlocal inside
        seconds, result = timed(lambda: original(chunk))
        inside += seconds
        return result

    predictor.backbone.states = states
    inputs = [copy_input(doc) for doc in docs]
    seconds, _ = timed(lambda: list(nlp.pipe(inputs, batch_size=64)))
    predictor.backbone.states = original
    return {"documents": len(docs), "seconds": seconds, "share": (seconds - inside) / inside}


def efficiency(nlp: Language, instances: Sequence[Sequence[Instance]]) -> Dict[str, Any]:
    """Floating-point rate of packed prefill, against plain matrix products of the shapes of the model's layers."""
    import torch

    backbone = nlp.get_pipe(NAME).predictor.backbone
    prompts = [prompts_of(nlp, own) for own in instances]
    tokens = flops = 0
    weights = {n: m.weight.shape for n, m in backbone.decoder.named_modules() if _is_base_linear(n, m)}
    per_token = 2 * sum(a * b for a, b in weights.values())
    config = backbone.whole.config
    for own in prompts:
        for chunk in pack(own, backbone.batch_tokens):
            assert chunk.shared is not None
            seen = len(chunk.shared.instruction) + max(map(len, chunk.shared.documents), default=0)
            count = sum(map(len, chunk.rows))
            tokens += count
            # Scores and values of attention: two products of a row with what it sees.
            flops += count * (per_token + 4 * config.num_hidden_layers * config.hidden_size * seen)
        read = len(own[0].document)
        flops += read * (per_token + 2 * config.num_hidden_layers * config.hidden_size * read)
        tokens += read
    seconds = best_of(3, lambda: [forward(nlp, own, True) for own in prompts])
    rows = backbone.batch_tokens
    factors = [(torch.randn(rows, shape[1]), torch.randn(shape[0], shape[1])) for shape in set(weights.values())]
    plain = best_of(5, lambda: [a @ b.T for a, b in factors])
    work = sum(2 * rows * b.shape[0] * b.shape[1] for _, b in factors)
    return {
        "tokens_per_second": tokens / seconds,
        "gflops": flops / seconds / 1e9,
        "matrix_product_gflops": work / plain / 1e9,
        "ratio": (flops / seconds) / (work / plain),
    }


def _is_base_linear(name: str, module: Any) -> bool:
    return hasattr(module, "in_features") and "lora_" not in name and hasattr(module, "weight") and "base_layer" in name


def training(nlp: Language, instances: Sequence[Sequence[Instance]], sample: int) -> Dict[str, Any]:
    """Tokens of the prompts, each counted whole, that a LoRA step handles in a second."""
    rng = random.Random(0)
    packed = separate = 0.0
    done = some_done = 0
    for own in instances:
        prompts = prompts_of(nlp, own)
        packed += timed(lambda prompts=prompts: gradients(nlp, prompts, True))[0]
        done += sum(map(len, prompts))
        some = rng.sample(prompts, min(sample, len(prompts)))
        separate += timed(lambda some=some: gradients(nlp, some, False))[0]
        some_done += sum(map(len, some))
    return {
        "documents": len(instances),
        "packed_tokens_per_second": done / packed,
        "separate_tokens_per_second": some_done / separate,
        "ratio": (done / packed) / (some_done / separate),
    }


def memory(nlp: Language, tokens: int, count: int) -> Dict[str, Any]:
    """Peak memory of a long document with many pairs."""
    rng = random.Random(0)
    words = [rng.choice(("alpha", "beta", "gamma", "delta", "met", "wrote", "of", "in")) for _ in range(tokens)]
    doc = Doc(nlp.vocab, words=words)
    doc.ents = [spacy.tokens.Span(doc, i, i + 1, "X") for i in range(0, tokens, tokens // 400)]
    before = peak_memory()
    component = nlp.get_pipe(NAME)
    spans = entity_spans(doc, component.spans_key)
    size = len(spans)
    doc._.entity_clusters = [[span] for span in spans]
    chosen = [(i, j, 1.0) for i in range(size) for j in range(i + 1, min(size, i + 12))][:count]
    doc._.candidate_pairs = chosen
    seconds, _ = timed(lambda: component.predict([doc]))
    peak = peak_memory()
    return {
        "tokens": len(doc),
        "pairs": len(chosen),
        "seconds": seconds,
        "peak_mebibytes": peak,
        "above_the_model_mebibytes": peak - before,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=Path, help="Re-DocRED documents, JSON")
    parser.add_argument("--sentences", type=Path, help="SemEval sentences, .spacy")
    parser.add_argument("--parts", default="documents,published,overhead,efficiency,training,memory,equality")
    parser.add_argument("--count", type=int, default=20, help="number of documents")
    parser.add_argument("--sample", type=int, default=12, help="separate prompts of each document that are timed")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/packed_scoring.json"))
    args = parser.parse_args()
    wanted = args.parts.split(",")

    def report(part: str, values: Dict[str, Any]) -> None:
        values = {**values, "dtype": args.dtype}
        merge(args.output, "Packed scoring", {part: values})
        print(part, {k: round(v, 5) if isinstance(v, float) else v for k, v in values.items()}, flush=True)

    nlp, docs, instances = _whole(args)
    spread_adapter(nlp)
    if "documents" in wanted:
        report("documents", documents(nlp, instances, args.sample))
    if "efficiency" in wanted:
        report("efficiency", efficiency(nlp, instances[:5]))
    if "training" in wanted:
        report("training", training(nlp, instances[:3], args.sample))
    if "published" in wanted:
        inputs = [copy_input(doc) for doc in docs[:5]]
        flat = [instance for own in instances[:5] for instance in own]
        run = lambda: list(nlp.pipe([doc.copy() for doc in inputs]))  # noqa: E731
        report("published_documents", published(nlp, flat, False, args.sample, run))
    if "overhead" in wanted:
        report("overhead_documents", overhead(nlp, docs[:5]))
    sentences = _sentences(args)
    if sentences is not None:
        small = make_nlp(SEMEVAL_LABELS, False, args.dtype)
        if "published" in wanted:
            flat = [own[0] for own in pairs(small, sentences)]
            run = lambda: list(small.pipe([copy_input(doc) for doc in sentences], batch_size=64))  # noqa: E731
            report("published_sentences", published(small, flat, True, args.sample, run))
        if "overhead" in wanted:
            report("overhead_sentences", overhead(small, sentences))
    if "equality" in wanted:
        report("equality", equality(nlp, instances))
    if "memory" in wanted:
        component = nlp.get_pipe(NAME)
        component.candidates = spacy.util.registry.get("ragre_candidates", "ragre.Proposed.v1")(max_tokens=400)
        report("memory", memory(nlp, 20_000, 3_000))


def _whole(args: argparse.Namespace) -> Tuple[Language, List[Doc], List[List[Instance]]]:
    names = find_relation_names(None, args.documents.parent) or {}
    nlp = make_nlp({label: label.replace("_", " ") for label in sorted(names.values())}, True, args.dtype)
    docs = []
    for doc in read_docred(args.documents, nlp.vocab):
        docs.append(doc)
        if len(docs) == args.count:
            break
    return nlp, docs, pairs(nlp, docs)


def _sentences(args: argparse.Namespace) -> Optional[List[Doc]]:
    if args.sentences is None:
        return None
    return list(read_docs(args.sentences, spacy.blank("en").vocab))[:200]


if __name__ == "__main__":
    main()
