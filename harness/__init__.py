"""The harness: draws, executes, judges, shrinks and reports runs of a store under test."""
