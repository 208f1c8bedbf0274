"""Planted bugs of the member, which show that the checkers find each kind of bug."""
