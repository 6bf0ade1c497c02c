"""The order of callbacks: FIFO, turn by turn; cancelled ones, arguments, exceptions."""


def scenario(loop, log):
    def fail(text):
        raise ValueError(text)

    def nested(name, depth):
        log(f'{name} {depth}')
        if depth > 0:
            loop.call_soon(nested, name, depth - 1)

    for i in range(5):
        loop.call_soon(log, f'callback {i}')
    loop.call_soon(nested, 'a', 2)
    loop.call_soon(nested, 'b', 3)
    loop.call_soon(fail, 'a callback that fails')
    loop.call_soon(log, 'after the failure')
    loop.call_soon_threadsafe(log, 'threadsafe')
    never = loop.call_soon(log, 'never')
    loop.call_soon(never.cancel)
    later_in_the_turn = [None]
    loop.call_soon(lambda: later_in_the_turn[0].cancel())
    later_in_the_turn[0] = loop.call_soon(log, 'cancelled in its own turn')
    early = loop.call_soon(log, 'cancelled before the run')
    early.cancel()
    log(f'cancelled: {early.cancelled()}')
    loop.call_soon(lambda *args: log(f'{len(args)} arguments'), 1, 2, 3)
    for _ in range(6):
        loop.call_soon(loop.call_soon, log, 'scheduled by a callback')
    loop.call_later(1, loop.stop)
    loop.run_forever()
    log('stopped')
