"""Kills what writes files with -9 at drawn moments, and checks that what is promised then holds.

    python -m tools.kills [--kind convert] [--moments 20] [--seed 0]

convert   there is no output or the whole one; resumed, it is the uninterrupted one's bytes, and no part is packed twice
batch     all whole lines are the uninterrupted run's answers; resumed, each request is answered once, and no token that
          was on the disk is generated again
session   the file is that of one save or of the next, byte for byte
serve     with --cache-disk: every page is whole, a torn one is dropped, and a restart answers alike from the others
agent     resumed, the run has the uninterrupted one's records and end state, no call with a result is made again, and
          no prompt is computed twice

Every second moment is a call that changes the disk (a write at a place, a sync, a rename, a removal), the others are
times spread over the run. A seed draws the same moments again.
"""
