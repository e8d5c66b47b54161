"""What the figures of docs/results/ are measured with. Run as `python -m benchmarks.semeval`, from the repository."""
