"""Labels that nobody trained on: R56x, R57x, R66x, W16x, W665, W666."""

from .codes import WithCodes


class OpenLabelErrors(metaclass=WithCodes):
    R560 = (
        "The folder {folder} has no {file}. The setting weights is 'open' for the weights of the package, a folder "
        "with open_reader.safetensors and open_reader.json, or null."
    )
    R561 = (
        "The answer 'open' needs weights of the reader of labels, and the setting weights is null. Set weights to "
        "'open', or answer to 'auto'."
    )
    R562 = (
        "The labels of component {name!r} can't be frozen, since it answers by {mode!r}. What is frozen is what the "
        "encoder of the answer 'open' reads of them; the others keep no such reading."
    )
    R570 = (
        "The reader of open labels that is saved with this pipeline was trained on top of {name!r} (hash {trained}), "
        "and the one that is there has the hash {found}. Install the model that it was trained with."
    )
    R571 = (
        "The reader of open labels that is saved with this pipeline is {problem}. Save the trained pipeline again, or "
        "train it again."
    )
    R660 = (
        "The reader of open labels can't be built on {name!r}, since its tokenizer ({tokenizer}) does not tell which "
        "characters a token stands for. Use a model whose tokenizer is a fast one, with a file tokenizer.json."
    )
    R661 = (
        "Component {name!r} can't be left without labels. Give at least one, as a list of names or a table of names "
        "with their words."
    )
    R662 = (
        "Component {name!r} can't take these labels: its label head was made for {count} others (missing now: "
        "{missing}; unknown to it: {others}). Only their words and entity types can change, and not which there are "
        "or whether they are symmetric. Leave its labels as they are, or use a pipeline that answers by 'open'."
    )
    R667 = (
        "The encoder has both lora = {lora} and weights = {weights!r}, but adapters are saved without the weights that "
        "they are added to. Set lora to null, or weights to null. To train little, set freeze_words to true."
    )
    R668 = (
        "The weights {weights!r} of the reader of open labels are of another encoder than {name!r}. Name the encoder "
        "that the reader is based on (all-MiniLM-L6-v2 for 'open'), or set weights to null."
    )


class OpenLabelWarnings(metaclass=WithCodes):
    W160 = (
        "The component {name!r} was saved with other weights for open labels than those of the setting weights = "
        "{weights!r}, so that scores may differ. Calibrate it again (python -m spacy ragre calibrate), or install the "
        "version that it was saved with."
    )
    W161 = (
        "The component {name!r} answers by a reader whose weights ({weights!r}) say nothing of how much examples "
        "count, so that it does not see them. Fit it: python -m benchmarks.few_shot fit --weights {weights}. Or let "
        "the examples vote by 'python -m spacy ragre calibrate' on development documents."
    )
    W162 = (
        "The labels of component {name!r} were frozen with other weights than those of the setting weights = "
        "{weights!r}, so that they are read again. Call freeze_labels() and save the pipeline to freeze them anew."
    )
    W163 = (
        "Component {name!r} was loaded with a table of labels, which spaCy adds to the table in the saved config.cfg. "
        "So nothing tells whether {labels}, which are there as they were saved, were given, too; they are left out. "
        "Give all labels that you want as a list, as in [{{'label': 'founded_by', 'text': 'was founded by'}}], or "
        "load the pipeline and call set_labels()."
    )
    W164 = (
        "The reader of open labels of component {name!r} was trained, and does not see examples since, so that these "
        "have no effect yet. Let them vote by 'python -m spacy ragre calibrate' on development documents, or train it "
        "again with them."
    )
    W165 = (
        "{count} pair(s) with a relation in a batch are not learned: no window of the reader of open labels holds "
        "both mentions, which are too far apart, or have no token of their own. Such pairs are never answered, "
        "either; this is said once."
    )
    W166 = (
        "The words of {labels} are more than the reader of open labels reads, which is {limit} tokens of wording and "
        "definition together: the last ones are left out. Say in fewer words what the label means."
    )
    W665 = (
        "The component {name!r} reads labels by weights that were trained on English, and the pipeline's language is "
        "{lang!r}, so that most of what it finds is wrong. Train it on annotated texts (docs/choose.md), or ask a "
        "language model that knows the language (docs/remote.md)."
    )
    W666 = (
        "The labels {labels} of component {name!r} are codes, of which nothing can be read, so that next to nothing is "
        "found before training. Give them words, as in labels={{{first!r}: 'was founded by'}}, or examples with "
        "add_examples()."
    )
