"""The order of timers among each other and among ready callbacks; cancelled timers; past deadlines."""


def scenario(loop, log):
    for delay in (3, 1, 2, 0.5, 1.5):
        loop.call_later(delay, log, f'after {delay}')
    loop.call_at(2.25, log, 'at 2.25')

    never = loop.call_later(1.25, log, 'never')
    loop.call_later(1, never.cancel)

    def reschedule(left):
        log(f'tick, {left} left')
        if left > 0:
            loop.call_later(0.8, reschedule, left - 1)

    loop.call_later(0.25, reschedule, 3)

    # Long ago, and now: behind what is ready when the turn begins.
    loop.call_at(-5, log, 'long ago')
    loop.call_later(-1, log, 'negative')
    loop.call_later(0, log, 'zero')
    loop.call_soon(log, 'ready')
    loop.call_soon(loop.call_soon, log, 'scheduled by a callback')

    # A timer that becomes due in the same turn in which another callback is ready.
    def at_four():
        log('at 4')
        loop.call_soon(log, 'soon, from a timer')
        loop.call_later(0, log, 'zero, from a timer')

    loop.call_later(4, at_four)
    handle = loop.call_later(60, log, 'never')
    log(f'when: {handle.when():.0f}')
    handle.cancel()
    log(f'when: {handle.when():.0f}, cancelled: {handle.cancelled()}')
    loop.call_later(5, loop.stop)
    loop.run_forever()
    log('stopped')
