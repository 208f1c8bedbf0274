"""The real world: the operating system as a member uses it in production."""
