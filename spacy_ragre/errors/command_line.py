"""The command line: R60x, R61x, R32x to R331, R336, R390."""

from .codes import WithCodes


class CommandLineErrors(metaclass=WithCodes):
    R321 = (
        "Can't read labels from {source}: {problem}. Give NAME=WORDS (such as founded_by='was founded by'), several of "
        "them with commas between, or a file: a label a line, or .json with an object of names and words."
    )
    R322 = (
        "The pipeline {name!r} has the component {component!r}, whose labels are its own, so that --labels can't be "
        "used with it. Leave out --labels, or name a pipeline that only finds entities, such as en_core_web_sm."
    )
    R323 = "{option} needs {needed}: {why}. Give {needed}, or leave out {option}."
    R324 = "Can't go on with {path}: {problem}. Leave out --resume to start again, which replaces what is there."
    R325 = (
        "None of the {count} document(s) could be processed. The first problem, {place}: {problem}\nAll are listed in "
        "{path}."
    )
    R326 = (
        "{problem}\n{count} document(s) were finished before, and are kept: go on from there with --resume. Documents "
        "that fail can be left out with --skip-errors FILE."
    )
    R328 = (
        "The pipeline {name!r} has no component that finds entities (its components: {components}), so that "
        "--own-entities can't be used. Leave it out to give the annotated entities, or add a component that finds them."
    )
    R329 = "{path} holds no document with words, so that there is nothing to score. Check the path."
    R330 = "There is no training document with words in {path}. Check the path, or convert the corpus again."
    R331 = (
        "No component of the pipeline {name!r} that finds relations ({components}) takes examples of a store, so that "
        "--examples can't be used. Leave it out, or use a pipeline with a rag_relation_extractor."
    )
    R336 = "Can't write the {what} to {path}: that is the {other}, too, which would be lost. Name another path."
    R390 = (
        "{name!r} and {other!r} can't be compared: no document of {path} has annotated relations. Name annotated "
        "documents, or leave out --compare."
    )
    R601 = "Can't use a file: {problem}. Check that the path is right and that you may read and write there."
    R602 = (
        "Can't load the pipeline {name!r}: {problem}. Give the folder of a saved pipeline, or the name of an installed "
        "package. 'python -m spacy ragre download NAME' installs those of this project."
    )
    R603 = (
        "{path} is not a store of examples: it has no {file}. Build one with: "
        "python -m spacy ragre index CORPUS.spacy {path}"
    )
    R604 = (
        "{path} holds no pair of entities in one sentence, so that there is nothing to index. Annotate at least two "
        "entities in a sentence."
    )
    R605 = "Can't tell the format of {path} by its ending. Known endings: {known}. Convert or rename the file."
    R606 = (
        "The pipeline {name!r} finds no relations: none of its components ({components}) assigns doc._.relations. Add "
        "one, for example with nlp.add_pipe('rag_relation_extractor'), and save the pipeline again."
    )
    R607 = "Give either TEXT or --input FILE, and not {what}. FILE can be '-' for standard input."
    R608 = "There is no embedded model {name!r}. Known names: {known}, or 'all' for all of them."
    R609 = (
        "Can't install {package}: {problem}. Check the connection to the package index, and look at the installer's "
        "output above."
    )
    R610 = "The settings of retrieval ({source}) are not valid: {problem}. Mend them, or build the store again."
    R611 = "Can't find {value} neighbours: -k must be at least 1."
    R612 = (
        "The pipeline {name!r} has no component that can be calibrated (its components: {components}). Train one that "
        "can, such as rag_relation_extractor."
    )
    R613 = "{path}, line {line}: the text is not valid UTF-8 ({problem}). Convert the file to UTF-8 first."
    R614 = "{name!r} is no folder that can be written to. Say where to save the pipeline, with --output FOLDER."
    R615 = "Can't use GPU {gpu_id}: {problem}. Give another --gpu-id, or -1 for the CPU."
