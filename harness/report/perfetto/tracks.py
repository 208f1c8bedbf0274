"""Writes tracks, slices, instants, counters and flows in Perfetto's format.

A slice is a bar from one time to another. An instant has no duration. A flow is an arrow between
slices. Source: Perfetto's protocol buffers (package `perfetto` of PyPI), messages TracePacket,
TrackDescriptor and TrackEvent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO

from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import (
    TracePacket,
    TrackDescriptor,
    TrackEvent,
)
from perfetto.trace_builder.proto_builder import StreamingTraceProtoBuilder

SEQUENCE = 1
"""The id of the sequence of packets. A trace with one writer has one sequence."""


class TrackWriter:
    """Writes a trace to `file`, one packet after another.

    All times are in ns since the start of the run.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._out = StreamingTraceProtoBuilder(file)
        self._tracks = 0

    def track(self, name: str, parent: int = 0, *, counter: bool = False) -> int:
        """Add a track called `name` below the track `parent`, and return its number.

        With `counter`, the track shows a number over time. Tracks are shown in the order of the
        calls.
        """
        self._tracks += 1
        packet = self._out.create_packet()
        descriptor = packet.track_descriptor
        descriptor.uuid, descriptor.name = self._tracks, name
        descriptor.sibling_order_rank = self._tracks
        descriptor.child_ordering = TrackDescriptor.EXPLICIT
        # Without this id, Perfetto would merge tracks of the same name.
        descriptor.sibling_merge_behavior = TrackDescriptor.SIBLING_MERGE_BEHAVIOR_NONE
        if parent:
            descriptor.parent_uuid = parent
        if counter:
            descriptor.counter.SetInParent()
        self._out.write_packet(packet)
        return self._tracks

    def slice(
        self, track: int, name: str, begin: int, end: int, *, category: str = "",
        facts: Mapping[str, str | int] | None = None, flows: Sequence[int] = (),
    ) -> None:
        """Add a slice from `begin` to `end` to `track`.

        The slices of a track must be added in the order of time. Slices that share a number in
        `flows` are connected by arrows, in the order of time. `facts` are shown when the user
        selects the slice.
        """
        packet = self._event(track, TrackEvent.TYPE_SLICE_BEGIN, begin)
        packet.track_event.name = name
        if category:
            packet.track_event.categories.append(category)
        for key, value in (facts or {}).items():
            annotation = packet.track_event.debug_annotations.add()
            annotation.name = key
            if isinstance(value, int):
                annotation.uint_value = value
            else:
                annotation.string_value = value
        packet.track_event.flow_ids.extend(flows)
        self._out.write_packet(packet)
        self._out.write_packet(self._event(track, TrackEvent.TYPE_SLICE_END, end))

    def instant(self, track: int, name: str, at: int) -> None:
        """Add an event without duration at the time `at`."""
        packet = self._event(track, TrackEvent.TYPE_INSTANT, at)
        packet.track_event.name = name
        self._out.write_packet(packet)

    def count(self, track: int, at: int, value: int) -> None:
        """Set the counter `track` to `value` at the time `at`."""
        packet = self._event(track, TrackEvent.TYPE_COUNTER, at)
        packet.track_event.counter_value = value
        self._out.write_packet(packet)

    def _event(self, track: int, kind: int, at: int) -> TracePacket:
        packet = self._out.create_packet()
        packet.timestamp = max(at, 0)
        packet.trusted_packet_sequence_id = SEQUENCE
        packet.track_event.type = kind
        packet.track_event.track_uuid = track
        return packet
