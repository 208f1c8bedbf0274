"""The Huffman code of HPACK.

The code is canonical, so the lengths of the codes define it. A decoder state is a node of the
code's tree. The transition for a state and a byte is computed when it is first needed.

Source: RFC 7541, section 5.2 and appendix B.
"""

from __future__ import annotations

# fmt: off
_LENGTHS = (
    13, 23, *[28] * 7, 24, 30, 28, 28, 30, *[28] * 8, 30, *[28] * 9,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,  # from the space on
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,  # from 0 on
    13, 6, *[7] * 22, 8, 7, 8, 13, 19, 13, 14, 6,  # from @ on
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,  # from ` on
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,  # from p on
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
)
"""The length of each byte's code in bits. The last length is that of the end of the string."""
# fmt: on
_END_OF_STRING = 256
_PADDING_BITS_MAX = 7


class HuffmanError(ValueError):
    """The bytes are not Huffman-coded text."""


class _Tree:
    """The code's tree. Node 0 is the root. `children[node]` contains a node or `~symbol`."""

    def __init__(self) -> None:
        self.children: list[list[int | None]] = [[None, None]]
        code = length = 0
        for next_length, symbol in sorted((n, symbol) for symbol, n in enumerate(_LENGTHS)):
            code <<= next_length - length
            length = next_length
            self._insert(code, length, symbol)
            code += 1
        self._padding = self._nodes_of_padding()

    def _insert(self, code: int, length: int, symbol: int) -> None:
        node = 0
        for shift in range(length - 1, 0, -1):
            bit = (code >> shift) & 1
            child = self.children[node][bit]
            if child is None:
                child = len(self.children)
                self.children.append([None, None])
                self.children[node][bit] = child
            node = child
        self.children[node][code & 1] = ~symbol

    def _nodes_of_padding(self) -> frozenset[int]:
        """Return the states in which a text can end.

        The padding after the last symbol has fewer than eight bits, and all of them are ones.
        """
        nodes, node = [0], 0
        for _ in range(_PADDING_BITS_MAX):
            child = self.children[node][1]
            assert child is not None
            assert child > 0
            node = child
            nodes.append(node)
        return frozenset(nodes)

    def step(self, node: int, byte: int) -> tuple[int, bytes]:
        """Return the state after `byte`, and the symbols that it completes."""
        found = bytearray()
        for shift in range(7, -1, -1):
            child = self.children[node][(byte >> shift) & 1]
            assert child is not None, "the code is complete"
            if child >= 0:
                node = child
            elif ~child == _END_OF_STRING:
                raise HuffmanError("the end-of-string symbol is in the text")
            else:
                found.append(~child)
                node = 0
        return node, bytes(found)

    def may_end(self, node: int) -> bool:
        return node in self._padding


_tree = _Tree()
_steps: dict[tuple[int, int], tuple[int, bytes]] = {}


def decode(data: bytes) -> bytes:
    """Decode Huffman-coded text. Raises HuffmanError."""
    node, parts = 0, []
    for byte in data:
        step = _steps.get((node, byte))
        if step is None:
            step = _steps[node, byte] = _tree.step(node, byte)
        node, symbols = step
        parts.append(symbols)
    if not _tree.may_end(node):
        raise HuffmanError("the text ends within a symbol")
    return b"".join(parts)
