"""How the weights of `spacy_ragre/weights/open_reader` were made: corpora, sampling, training, evaluation, export."""
