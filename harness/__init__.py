"""The harness: draws, executes, judges, shrinks and reports runs against a store."""
