"""Training and measuring the finder of entities of any types."""
