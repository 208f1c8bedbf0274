"""Creates the copy of a backend that contains a store with some keys."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from splitbrain.node.mvcc.store import Store
from splitbrain.node.storage.memory_backend import MemoryBackend


def backend_with(pairs: Mapping[bytes, bytes]) -> bytes:
    backend = MemoryBackend()
    store = Store(backend)
    for key, value in pairs.items():
        transaction = store.write()
        transaction.put(key, value)
        transaction.end()
    store.set_consistent_index(77, 5)
    return asyncio.run(backend.snapshot())
