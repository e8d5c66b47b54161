"""Pipelines that are shipped and installed: R65x, R664."""

from .codes import WithCodes


class PipelineErrors(metaclass=WithCodes):
    R650 = (
        "The encoder has both lora = {lora} and freeze_words = true, but adapters leave all weights as they are, the "
        "word embeddings among them. Set lora to null, or freeze_words to false."
    )
    R651 = "The precision {value!r} is not known. Use {known}."
    R652 = (
        "Component {name!r} can't be kept in fewer bits: the keys of its instances would no longer be those of its "
        "encoder. Leave the pipeline as it is."
    )
    R653 = (
        "The pipeline {name!r} has no component of spacy-ragre (its components: {pipes}), so that nothing of it can be "
        "kept in fewer bits."
    )
    R654 = (
        "The pipeline in {folder} has no {file}, so that there is no figure to compare with. Measure it with: "
        "python -m spacy ragre evaluate"
    )
    R655 = (
        "The pipeline {name!r} does not give the figure of its card: {told}, which is more than the tolerance of "
        "{tolerance:.2f}. Install the pipeline and the versions of constraints.txt again; a GPU or another engine may "
        "give other figures."
    )
    R656 = (
        "The data that the card was measured on are missing: {file}. Give their folder with --assets or the variable "
        "{variable}, or get them in a clone of the repository with: python -m spacy project run {step}"
    )
    R657 = (
        "{file} is not the file that the card was measured on (sha256 {found}, the card says {expected}). Get the data "
        "again."
    )
    R658 = (
        "Component {name!r} is to run the pipeline {pipeline!r}, which no package of this suite carries. Known names: "
        "{known}. Other pipelines are put in front by nlp.add_pipe(..., source=...)."
    )
    R659 = "Can't install the pipeline {name!r}: {problem}"
    R664 = (
        "The card of the pipeline {name} has no ids of relations. Give a JSON file of ids with names: "
        '{{"P17": "country"}}.'
    )
