"""Contains the requests and responses of etcd's v3 API as values, their validation and errors."""
