"""Planted bugs in changes of the members, in transfers of the leadership, and in flow control."""
