"""HTTP/2 as a state machine without I/O: bytes in, events and bytes out."""
