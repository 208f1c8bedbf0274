"""Runs a member on a real machine: asyncio on uvloop, sockets, HTTP, the file system and LMDB."""
