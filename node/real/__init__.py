"""The real world of a member: asyncio on uvloop, sockets, HTTP, the file system and LMDB."""
