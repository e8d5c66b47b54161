"""Other systems on the split of SemEval-2010 Task 8. Each script runs in an environment of its own; see `study`."""
