"""Corpora and scoring: R332 to R335, R337 to R369, R4xx, W337."""

from .codes import WithCodes


class CorpusErrors(metaclass=WithCodes):
    R332 = (
        "{path} is not in UTF-8: {problem}. UTF-8 is wanted: convert the file, for example with "
        "'iconv -f {encoding} -t utf-8'."
    )
    R334 = (
        "{path} holds no documents, so that nothing was written. Check the path, and that the file is whole and in the "
        "format that was named."
    )
    R335 = (
        "Can't make a document of this record: {count} problem(s) found.\n{problems}\nMend them, as docs/training.md "
        "describes the interchange format."
    )
    R337 = (
        "the id {id!r} is that of {place}, too. Ids must be different within a corpus: where a document was annotated "
        "more than once, keep one of them (convert --skip-errors FILE keeps the first)."
    )
    R338 = "what stands here is {found}, but {wanted} is wanted. A file has one format: give each its own."
    R339 = (
        "the file is no whole JSON: {problem}, at {text!r}. Take the file as it was exported: one object a "
        "line, or one list."
    )
    R340 = (
        "Can't tell the format of {path}: it looks {looks}. It holds {found}. Known formats: {known}. Name the right "
        "one with --format, or write the documents in the interchange format (docs/formats.md)."
    )
    R341 = (
        "{what} goes from {start} to {end}, where the text has {found!r}, but the annotation says {wanted!r}. The text "
        "was changed after it was annotated, or offsets are counted in another way: give the text that was annotated."
    )
    R342 = "{what} refers to {reference!r}, but {problem}. Mend the reference, or leave the annotation out."
    R343 = "{what} has the id {id!r}, which another annotation of the document has, too. Ids must be different."
    R344 = (
        "line {line} can't be read: {text!r}. Wanted is a line of brat, such as 'T1<tab>PERSON 0 3<tab>Ann' or "
        "'R1<tab>runs Arg1:T1 Arg2:T2'."
    )
    R345 = "there is no {name} beside it. brat keeps a text in NAME.txt and its annotations in NAME.ann."
    R346 = (
        "Can't write the label {label!r} of document {id!r} for brat, whose labels are one word: rename it, or write "
        "another format."
    )
    R347 = (
        "its relations (doc._.rel) can't be read: {problem}. Wanted is a table such as {{(0, 5): {{'runs': 1.0}}}}, by "
        "the tokens at which the two entities begin."
    )
    R348 = "Can't write document {id!r}: another one has the same id. Give each an id of its own."
    R349 = (
        "{what} can't be read: {problem}. Wanted are labels of a plain text, with start and end as character offsets: "
        "export the project as JSON, with annotations."
    )
    R350 = (
        "the label can't be read: {problem}. A label line is 'name | wording; wording; ... | definition | head types | "
        "tail types', with '| symmetric' behind it where both directions hold; the name has no spaces."
    )
    R351 = (
        "the text can't be read: {problem}. A text line has entities such as '[Acme|ORG]', and behind '||' relations, "
        "as in '1 owns 2; 3 owns 2', or 'none'."
    )
    R352 = (
        "the relation {relation!r} can't be taken: {problem}. A relation is 'head label tail', with entities numbered "
        "from 1 in the order of the text; a symmetric one stands once."
    )
    R353 = "the line stands above '# labels' and '# texts', which tell what a line is. Move it below one of them."
    R354 = "it has no {what}. Write them below '# {what}', one a line."
    R355 = "There are no source files (*.txt) in {folder}. Check the path."
    R356 = "Can't ask for {value} wording(s) of a label: min_wordings must be 1 or more."
    R357 = (
        "Can't read the corpus in {folder}: {problem}. Convert its source files again with scripts/convert_openrel.py."
    )
    R358 = (
        "the wordings can't be read: {problem}. A line is 'label | noun; noun | verb phrase; verb phrase | short "
        "label; short label | Role-Role | definition', below the line '# schema: NAME'."
    )
    R359 = "some labels {problem}: {names}. Each label of a schema has one line, under its name in the source."
    R360 = "it has {count} schemas, and one is wanted. Keep one '# title:' in it, or read it with read_schemas."
    R401 = "Can't find {path}. Check the path: relative paths start at the current folder, {cwd}."
    R402 = (
        "Can't read {path}: {count} problem(s) found{shown}.\n{problems}\nMend these places, or leave them out "
        "(convert and extract do that with --skip-errors FILE), and read the file again."
    )
    R403 = (
        "the line is not valid UTF-8: {problem}. Convert the file to UTF-8 first, for example with "
        "'iconv -f latin1 -t utf-8'."
    )
    R404 = "the line is not a JSON object: {problem}. Write one document a line, as a JSON object."
    R405 = "{what} needs {key!r} to be {expected}, but it is {value}."
    R406 = (
        "{what} has start={start} and end={end}, but the text has {length} characters and 0 <= start < end <= {length} "
        "is needed (character offsets, end exclusive)."
    )
    R407 = (
        "{what}, start={start} and end={end}, text {text!r}, does not begin and end with a token. The tokens there are "
        "{tokens}. Move the offsets to the token boundaries, or read the file with split_tokens=True."
    )
    R408 = (
        "entities overlap: {first!r} at {first_offsets} and {second!r} at {second_offsets}. Overlapping entities "
        "don't fit in doc.ents: read the file with a spans_key, so that they are kept in doc.spans."
    )
    R409 = "{what} is {index}, but the document has {count} {kind}. Use indexes from 0 to {last}."
    R410 = (
        "{text!r} is not a sentence of SemEval-2010 Task 8: {problem}. A record begins with its number, a tab and the "
        'sentence in double quotes, with one <e1>...</e1> before one <e2>...</e2>: 1\t"The <e1>fire</e1> ...".'
    )
    R411 = (
        "record {id} has the label {label!r}. Expected is 'Other', or one of {known} followed by '(e1,e2)' or "
        "'(e2,e1)', on the line after the sentence."
    )
    R412 = "id {id!r} was given already on line {line}. Ids must be different within a file."
    R413 = (
        "Can't write a relation or cluster of document {id!r}: {what} {text!r} (tokens {start} to {end}) is not among "
        "its {kind}. Set {attr} so that it is, or pass the spans_key that the entities are kept under."
    )
    R414 = "Format {format!r} is unknown. Known formats: {known}."
    R415 = "Can't read {path}: {problem}. It is not a whole .spacy file: convert the corpus again."
    R416 = "There is no .spacy file in {path}. Convert the corpus first, or check the path."
    R417 = (
        "A corpus of the config has no path. Set it there, or on the command line, with "
        "--paths.train corpus/train.spacy --paths.dev corpus/dev.spacy."
    )
    R418 = (
        "Can't put {share} of {count} document(s) aside: the share must be between 0 and 1, and there must be two "
        "documents or more."
    )
    R419 = "There are {gold} gold labels and {predicted} predicted labels. Give one label a sentence in both."
    R420 = "{label!r} is not a label of SemEval-2010 Task 8. Labels read 'Other', 'Name(e1,e2)' or 'Name(e2,e1)'."
    R421 = (
        "Document {id!r} has {count} entities, but SemEval-2010 Task 8 asks about exactly two. Keep the two nominals "
        "in doc.ents (in training and evaluation: gold_ents = true), or use ragre.relation_scorer.v1."
    )
    R422 = (
        "Can't write answers: {problem}. An answer file needs a different id for each document, kept in "
        "doc.user_data[{key!r}]."
    )
    R423 = "{what} has half of a surrogate pair at character {start}, which is not valid Unicode. Remove it."
    R424 = "Can't write document {id!r}: {what} has the score {score}, which JSON can't hold. Set it to a number."
    R425 = "the tokenizer refused the text: {problem}"
    R430 = "Can't read {path} as JSON of DocRED: {problem}. Take the file as it was published."
    R431 = "the document {title!r} has a problem at {key!r}: {problem}."
    R432 = (
        "the document {title!r} has a relation with the id {id!r}, which is not among the relation names. Known ids: "
        "{known}. Give the names that belong to the file with --relation-names."
    )
    R433 = "the title {title!r} is that of document {first}, too. Titles must be different within a file."
    R434 = (
        'Can\'t use the relation names in {path}: {problem}. Give a JSON object like {{"P17": "country"}}, in which '
        "each name stands once."
    )
    R435 = (
        "Can't write the relation {label!r} of document {title!r}: it is a name, and the format needs ids such as "
        "'P17'. Give the file with ids and names ({file}) with --relation-names."
    )
    R436 = (
        "Can't write the relation {label!r} of document {title!r}: it is not among the relation names. Known names: "
        "{known}."
    )
    R440 = (
        "the document has {found}, but no {key!r}: it is in another format. Give it {key!r} as the documentation of "
        "the interchange format says, or an empty list where there is nothing."
    )
    R441 = "{what} can't be kept: {problem}. Leave it out, or write it as text."
    R442 = "{what} is {index}, but the document has no {kind}. Give it {kind} to point to, or leave the relation out."
    R443 = (
        "the document has relations of {unknown}, which are not among the labels that it was annotated for ('labels'). "
        "Add them there, or leave 'labels' out where everything was annotated."
    )
    R444 = (
        "Can't read {path}: it is one JSON value over several lines. Write one document a line (JSON Lines), for "
        "example with 'jq -c .'."
    )


class CorpusWarnings(metaclass=WithCodes):
    W337 = "Not everything in {path} could be kept. Left out: {dropped}. docs/formats.md says what each format holds."
