"""The folder of a run: the name, the reader and the writer of each of its files."""
