"""Defines the operations of a v3 store's cluster service in a history.

Source: etcd's `rpc.proto` (Cluster service).
"""

from __future__ import annotations

import msgspec

from splitbrain.histories.kv import Header
from splitbrain.histories.member_state import ListedMember


class MemberList(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="member_list"
):
    """Reads the list of the members of the cluster.

    If `linearizable` is false, the member that receives the request answers with the list that it
    knows, which may be old.
    """

    linearizable: bool = True


class MemberListResult(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="op", tag="member_list"
):
    header: Header = Header()
    members: tuple[ListedMember, ...] = ()
