"""The sequential store: what each request answers and changes, one request at a time."""
