"""The space quota, automatic compaction, and the comparison of a member's data with its peers."""
