"""Planted bugs of the member. They show that the checkers find each kind of bug."""
