"""Formats of corpora, and the scores that belong to them: R371 to R375, R378 to R389, R810, R811."""

from .codes import WithCodes


class FormatErrors(metaclass=WithCodes):
    R371 = (
        "Can't use the patch {path}: {problem}. Wanted is a patch as it was published, each id once: for TACREV a list "
        'of records like {{"id": "e7798", "relation": "per:title"}}, for Re-TACRED an object like '
        '{{"e7798": "per:title"}}.'
    )
    R372 = (
        "{count} of the {total} ids of {patch} are not in the file, such as {shown}. A patch belongs to one part of "
        "TACRED (train, dev or test): give that part's patch, and the file as the LDC publishes it."
    )
    R373 = "subject and object of record {id!r} are the same tokens, {start} to {end}: a relation needs two mentions."
    R374 = (
        "{role}_start={start} and {role}_end={end} are no range of tokens: there are {count}, numbered from 0, and the "
        "end is that of the last token (inclusive)."
    )
    R375 = (
        "Document {id!r} has {count} candidate pair(s), but the score of TACRED asks about exactly one, subject and "
        "object. Convert the corpus with --format tacred and keep gold_ents = true for evaluation, or leave the setting"
        " 'tacred' of ragre.relation_scorer.v1 off."
    )
    R378 = (
        "{what} goes from start={start} to end={end}, but there are {count} tokens and 0 <= start < end <= {count} is "
        "needed (token indexes, end exclusive)."
    )
    R379 = (
        "{line!r} can't be read as a line of PubTator: {problem}. A document is ID|t|TITLE, ID|a|ABSTRACT, mentions"
        " (ID, start, end, mention, type, identifier) and relations (ID, label, identifier, identifier) with tabs, and "
        "a blank line behind it."
    )
    R380 = "{what} can't be read: {problem}. Mend it there, or leave it out."
    R381 = (
        "Can't read {path} as XML of BioC: {problem}. Take the file as it was exported, with <collection> around all."
    )
    R382 = "the line can't be read as WebAnno TSV 3: {problem}. Take the file as INCEpTION exported it."
    R383 = "Reading UIMA CAS needs dkpro-cassis. Install it with: pip install 'spacy-ragre[uima]'."
    R384 = "it can't be read as UIMA CAS in JSON: {problem}. Take the file as INCEpTION exported it."
    R810 = (
        "Can't write {what} {value!r} as {format}: it must be text of one line, with no tab, no space at its ends and "
        "no character that has a meaning there, and no number. Rename it, or write another format."
    )
    R811 = (
        "Can't write labels of SemEval-2010 Task 8 ({known}) beside others ({others}): a file has either those of the "
        "task, or none of them. Rename the labels, or write another format."
    )
