"""Studies: questions that are answered by a grid of small runs. See `runner`."""
