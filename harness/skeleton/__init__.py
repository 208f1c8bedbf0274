"""Contains the files that `splitbrain init` writes: a test, and the toy store that it tests."""
