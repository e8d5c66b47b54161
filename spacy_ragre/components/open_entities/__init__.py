"""`open_entities`: entities of any types that are named, found by an encoder that comes with the package."""
