"""Contains the commands of `splitbrain`, one module for each. A module is imported when called."""
