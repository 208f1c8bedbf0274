"""The commands that the harness sends to the process of a mounted disk, and their answer."""

from __future__ import annotations

import msgspec

from splitbrain.nemesis.disk_fault import DiskArea, DiskState


class SetState(msgspec.Struct, frozen=True, tag_field="do", tag="set_state"):
    state: DiskState


class LosePower(msgspec.Struct, frozen=True, tag_field="do", tag="lose_power"):
    """Lose the data that is not durable, and fail each call with EIO until `PowerOn`."""


class PowerOn(msgspec.Struct, frozen=True, tag_field="do", tag="power_on"):
    pass


class Rot(msgspec.Struct, frozen=True, tag_field="do", tag="rot"):
    area: DiskArea
    bits: int


class LoseSectors(msgspec.Struct, frozen=True, tag_field="do", tag="lose_sectors"):
    area: DiskArea
    sectors: int


class Save(msgspec.Struct, frozen=True, tag_field="do", tag="save"):
    """Write all files of the disk to a folder outside of it."""

    folder: str


Command = SetState | LosePower | PowerOn | Rot | LoseSectors | Save


class Answer(msgspec.Struct, frozen=True):
    text: str = ""
    error: str = ""
