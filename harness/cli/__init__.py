"""The commands of `splitbrain`, each in a file of its own, loaded when it is called."""
