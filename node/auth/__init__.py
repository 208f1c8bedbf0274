"""Users, roles and permissions: the replicated state, the tokens, and the checks of requests."""
