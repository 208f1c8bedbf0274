"""Users, roles and permissions, and the answers that they allow."""
