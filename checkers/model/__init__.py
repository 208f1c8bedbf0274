"""A sequential store that computes the answer and the changes of each request."""
