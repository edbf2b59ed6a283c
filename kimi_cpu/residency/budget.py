"""How many slots for experts there may be now: fewer when memory is short, as many as at first when it no longer is."""

STALLED = 0.1  # share of the time in which processes wait for memory that is a sign of too little
STALLED_RESERVE = 512 << 20  # bytes that are left besides then
REGROW_S = 120.0  # without a shortage, before slots are opened again


class SlotBudget:
    """The number of slots that are open, of `most` at most and `least` at least. Their memory is taken when they are
    first filled."""

    def __init__(self, least: int, most: int, slot_bytes: int):
        self.num_open = most
        self._least, self._most, self._slot_bytes = least, most, slot_bytes
        self._short_s = 0.0  # when it last was

    def look(self, now_s: float, num_touched: int, spare: int, stalled: float) -> int:
        """Bytes that are missing still when so few slots are open as there must be; 0: none. Sets num_open.

        num_touched: slots whose memory was taken. spare: bytes that may be taken, below 0: that are to be given back.
        stalled: share of the time since the last look in which processes waited for memory.
        """
        if stalled > STALLED:
            spare -= STALLED_RESERVE
        affordable = num_touched + spare // self._slot_bytes
        if affordable < self.num_open:
            self._short_s = now_s
            self.num_open = max(affordable, self._least)
        elif now_s - self._short_s >= REGROW_S:
            self.num_open = min(affordable, self._most)
        return max(0, self.num_open - affordable) * self._slot_bytes
