"""Language models, encoders, their weights and windows: R1xx, W1xx."""

from .codes import WithCodes


class ModelErrors(metaclass=WithCodes):
    R101 = "Can't find the GGUF file {name!r}. Check the path; a GGUF file is given with its whole name."
    R102 = (
        "Model {name!r} comes with the package {package!r}, which is not installed. "
        "Install it with: python -m spacy ragre download {name}"
    )
    R103 = (
        "Can't convert {name!r} into the cache folder {folder}: {reason}. Free some space or make the folder "
        "writable, or set the variable {variable} to another folder."
    )
    R104 = (
        "Can't load the language model {name!r}: {reason}. Give a local folder, a GGUF file, the name of an embedded "
        "model ({embedded}) or a hub id that this machine can reach."
    )
    R105 = "Quantization {value!r} is not known. Use 'nf4', 'int8' or none."
    R106 = "Data type {value!r} is not known. Use 'auto', 'float32', 'bfloat16' or 'float16'."
    R107 = (
        "This adapter was trained on the base model {trained!r} (weights {trained_hash}), but the pipeline has "
        "{base!r} (weights {base_hash}). Load it with the model that it was trained on."
    )
    R108 = "The adapter saved with this pipeline is {problem}. Save the trained pipeline again, or train it again."
    R109 = (
        "A prompt has {length} tokens, but {model!r} takes at most {limit}. Lower max_tokens, raise max_length of the "
        "backbone, or use a model with a longer window."
    )
    R110 = "LoRA settings are not valid: {problem}. Known keys are rank, alpha, dropout and target_modules."
    R111 = (
        "The encoder 'ragre.BackboneEncoder.v1' uses a component's language model, but belongs to none. Name it in the "
        "retriever of a component, or use 'ragre.TextEncoder.v1' for a store of its own."
    )
    R112 = "Engine {value!r} is not known. Use one of {known}."
    R113 = (
        "Engine {engine!r} needs the package {package!r}, which is not installed. Install it with: "
        "pip install 'spacy-ragre[openvino]', or set engine = 'torch'."
    )
    R114 = (
        "Engine {engine!r} compiles models that compute on the CPU in float32, but {model!r} computes on {device} in "
        "{dtype}. Set device = 'cpu', and for a language model dtype = 'float32' and no quantization, or "
        "engine = 'torch'."
    )
    R115 = (
        "Can't split the weights of the language model {model!r} among processes (shard = true): they are quantised "
        "({quantization}). Set quantization to none, and dtype to 'bfloat16' or 'float32'; or shard = false, for the "
        "whole quantised model on each GPU."
    )
    R116 = (
        "Can't split the weights of the language model {model!r} among processes (shard = true) for engine {engine!r}, "
        "which computes with whole ones. Set engine = 'torch', or shard = false."
    )
    R117 = "To split weights among processes (shard = true) needs torch 2.7 or newer, and this is {version}. Update it."
    R118 = (
        "Can't split the weights of a {kind} among processes (shard = true): it has no list of layers. Use another "
        "language model, or shard = false."
    )
    R119 = (
        "Can't train all weights of the language model {model!r} while they are split among processes (shard = true): "
        "what is split is frozen. Set tuning to 'lora', or shard = false."
    )
    R120 = (
        "{file} is damaged: its checksum is not the one that was saved. Copy the pipeline again from where it was, "
        "or save it again."
    )
    R121 = "{file} is missing from the saved component. Copy the whole pipeline again, or save it again."
    R122 = "Device {value!r} is not known. Use 'auto', 'cpu', 'cuda', 'cuda:1' or another name of torch's, in quotes."
    R123 = (
        "Can't put the model {model!r} on the device {device!r}: {reason}. Set device to 'auto', or to one that this "
        "machine has and that has room for the model."
    )
    R124 = (
        "LoRA can't adapt {unknown}, given in target_modules: {model!r} has no such layers. It has {known}. Choose "
        "some of these, or 'all-linear'."
    )
    R130 = (
        "The encoder {name!r} says that it is pooled by {pooling}, which is not known here. Set pooling to one of "
        "'mean', 'cls', 'max' and 'last', or use another encoder."
    )
    R131 = (
        "A prompt has {length} tokens without any context of its mentions, but {model!r} takes at most {limit}. Where "
        "it lists its {count} label(s), ask for fewer at a time; else raise max_length of the backbone, or use a model "
        "with a longer window."
    )
    R150 = "The weights saved with this filter are {problem}. Save the trained pipeline again, or train it again."
    R151 = (
        "Can't read windows of {window} pieces that overlap by {overlap}: window must be at least {least}, and overlap "
        "at most half of it. Change window and overlap of the encoder."
    )
    R152 = (
        "The transformer gives no attentions, which the filter needs. Set in the transformer's model: "
        "transformer_config = {'output_attentions': true, 'attn_implementation': 'eager'}."
    )
    R153 = (
        "The encoder 'ragre.TransformerEncoder.v1' needs spacy-transformers, which is not installed. Install it with: "
        "pip install 'spacy-ragre[transformers]', or use 'ragre.HuggingFaceEncoder.v1'."
    )
    R154 = (
        "Settings of the filter's model are not valid: hidden={hidden}, block={block}, memory={memory}. hidden must be "
        "a multiple of block, and memory at least 1 MiB."
    )


class ModelWarnings(metaclass=WithCodes):
    W101 = (
        "The attention of the language model {model!r} is not the plain one (a window, a cap, or code of its own), so "
        "that what prompts share is computed for each of them, by torch. Answers are the same, slower."
    )
    W131 = (
        "The {count} labels take too much of the window of {model!r} ({limit} tokens): {left_out} left out of the "
        "prompts that don't fit. Shorten the definitions, ask for fewer labels at a time, set instruction = false in "
        "the prompt, or use a model with a longer window."
    )
    W132 = (
        "A text of {length} tokens in all is longer than the window of {model!r} ({limit} tokens): such texts are cut "
        "around the mentions. To choose what is read, lower max_tokens of the candidates."
    )
    W140 = (
        "A text takes {length} tokens with its question (task {task!r}), and the window of {model!r} has {limit}: such "
        "texts are cut around the mentions, or read in parts where mentions are looked for. To choose what is read at "
        "once, lower max_tokens of the component."
    )
