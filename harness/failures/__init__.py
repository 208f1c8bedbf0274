"""Groups of failures, the corpus of saved runs, and the commit that caused a failure."""
