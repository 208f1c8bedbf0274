"""The commands of `splitbrain`: one module for each, imported when the command is called."""
