"""Documents on their way through a pipeline, and jobs that annotate a corpus, on this machine or on Ray."""
