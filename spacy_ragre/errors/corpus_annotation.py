"""Annotation of corpora: R72x, R73x."""

from .codes import WithCodes


class CorpusAnnotationErrors(metaclass=WithCodes):
    R720 = (
        "{what} needs the package {package!r}, which is not installed. Install it with: pip install 'spacy-ragre[ray]'"
    )
    R721 = "Can't read {path}: {problem}. The file is damaged, or is no Parquet: write it again."
    R722 = (
        "{path} has no column 'text' of strings (its columns: {columns}). Rename the column with the texts; the other "
        "columns that are read are {known}, in the form of the interchange format."
    )
    R723 = (
        "{count} id(s) of documents are there more than once, so that their annotations could not be told apart:\n"
        "{shown}\nGive each document an id of its own, or none."
    )
    R724 = (
        "{output} holds the output of another job: {problem}. Name another folder, or remove this one to start again."
    )
    R725 = (
        "{output} is not the output of a job of annotation, and is not empty: it holds {names}. Name another folder; "
        "nothing was written."
    )
    R726 = "Another run is annotating into {output}. Wait for its end, or name another folder."
    R727 = "{problem}\n{done} of {parts} parts are finished and kept in {output}: the same command goes on from there."
    R728 = "A worker on {node} can't load the pipeline, or can't read a text by it: {problem}"
    R729 = (
        "None of the {count} documents from {place} on could be processed, so that the pipeline, and no document, is "
        "at fault. The first problem: {problem}"
    )
    R730 = (
        "Workers ended {count} times, all of them while they annotated the {size} document(s) from {place} on. Where "
        "memory ran out, take fewer --workers or smaller batches (--batch-size); else look at these documents."
    )
    R731 = "There is no {known} file in {path}. Name a file or a folder with such files."
    R732 = "No room is left on the disk of {path} ({problem}). Make room there."
    R733 = "The output {output} is inside of the input {path}, and would be read as input. Name another folder."
    R734 = "Can't tell the format of the graph {path} by its ending. Known endings: {known}."
    R735 = "A worker failed in a way that was not foreseen:\n{problem}"
    R736 = "{path} holds no documents, so that there is nothing to annotate. Check the path."
    R737 = "Ray failed: {problem} Its logs say more; a lower --workers asks less of the machine."
