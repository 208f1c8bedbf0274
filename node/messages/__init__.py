"""The requests and responses of etcd's v3 API as values, with their validation and errors."""
