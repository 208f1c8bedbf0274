"""The files that `splitbrain init` writes, and the toy store that they test."""
