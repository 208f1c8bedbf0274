"""The real world: asyncio on uvloop, aiohttp, the file system, LMDB."""
