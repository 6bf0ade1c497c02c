"""An event loop of asyncio with virtual time.

Time stands still while anything is ready, and jumps to the next deadline when nothing is. It is exact as long
as all times are whole numbers.
"""

import asyncio
import heapq


class VirtualTimeLoop(asyncio.base_events.BaseEventLoop):
    """`ties` is the order of timers with the same deadline: 'scheduled', or 'as-cpython', an accident of the
    heap.
    """

    def __init__(self, ties):
        super().__init__()
        self.now = 0.0
        self.ties = ties
        # Whether two timers had the same deadline.
        self.coincided = False
        self.timers = 0
        # Less than the distance of two deadlines, and not lost in the rounding of large times.
        self._clock_resolution = 0.5
        self._selector = VirtualSelector(self)

    def time(self):
        return self.now

    def jump(self):
        self.now = self._scheduled[0]._when

    def call_at(self, when, callback, *args, context=None):
        if any(timer._when == when and not timer.cancelled() for timer in self._scheduled):
            self.coincided = True
        if self.ties == 'as-cpython':
            return super().call_at(when, callback, *args, context=context)
        timer = OrderedTimer(when, callback, args, self, context)
        timer.number = self.timers
        self.timers += 1
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True
        return timer

    def _process_events(self, event_list):
        pass


class VirtualSelector:
    """Does not wait: moves the clock of its loop instead."""

    def __init__(self, loop):
        self.loop = loop

    def select(self, timeout):
        if timeout is None:
            raise RuntimeError('nothing is ready, and no timer was scheduled for the end of time')
        if timeout > 0:
            self.loop.jump()
        return []


class OrderedTimer(asyncio.TimerHandle):
    """A timer that runs before all timers with the same deadline that were scheduled later."""

    __slots__ = ('number',)

    def __lt__(self, other):
        return (self._when, self.number) < (other._when, other.number)
