"""Prompts and candidates: R30x to R320, R376, R377."""

from .codes import WithCodes


class PromptErrors(metaclass=WithCodes):
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
    R376 = "Can't mark mentions by markers = {value!r}. Set markers of the prompt to one of: {known}."
    R377 = "The prompt of RAG4RE has no form for family = {value!r}. Set family of the prompt to one of: {known}."
    R320 = (
        "Pattern {pattern} of the gazetteer holds no word. Give each pattern a name, as in {{'pattern': 'fish oil'}}."
    )
