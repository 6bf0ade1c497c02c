"""Futures: the order of done callbacks, and the results of each state."""

import asyncio


def scenario(loop, log):
    def attempt(name, call, *args):
        try:
            log(f'{name}: {call(*args)}')
        except asyncio.CancelledError as error:
            log(f'{name}: CancelledError({", ".join(map(str, error.args))})')
        except asyncio.InvalidStateError:
            log(f'{name}: InvalidStateError')
        except Exception as error:
            log(f'{name}: raised {error}')

    def states(title, future):
        log(f'--- {title}')
        attempt('done', future.done)
        attempt('cancelled', future.cancelled)
        attempt('result', future.result)
        attempt('exception', future.exception)
        attempt('cancel', future.cancel)

    pending = loop.create_future()
    attempt('result', pending.result)
    attempt('exception', pending.exception)
    states('cancelled by the line above, in the end', pending)
    states('and asked again', pending)

    with_result = loop.create_future()
    with_result.set_result(5)
    states('with a result', with_result)
    attempt('set_result', with_result.set_result, 6)
    attempt('set_exception', with_result.set_exception, ValueError('no'))

    with_exception = loop.create_future()
    with_exception.set_exception(ValueError('bug'))
    states('with an exception', with_exception)

    cancelled = loop.create_future()
    cancelled.cancel('enough')
    states('cancelled with a message', cancelled)
    attempt('set_result', cancelled.set_result, 1)

    log('--- done callbacks')
    future = loop.create_future()

    def callback(name):
        def done(given):
            log(f'{name}: {given is future} {given.result()}')

        return done

    removed = callback('removed')
    for name in ('first', 'second'):
        future.add_done_callback(callback(name))
    future.add_done_callback(removed)
    future.add_done_callback(removed)
    log(f'removed: {future.remove_done_callback(removed)}')
    log(f'removed: {future.remove_done_callback(removed)}')

    def adds(_given):
        log('adds another')
        future.add_done_callback(callback('added by a callback'))

    def fails(_given):
        raise ValueError('a done callback that fails')

    future.add_done_callback(adds)
    future.add_done_callback(fails)
    future.add_done_callback(callback('last'))

    def sets():
        loop.call_soon(log, 'scheduled before the result is set')
        future.set_result('result')
        loop.call_soon(log, 'scheduled after')
        log('set')

    loop.call_soon(sets)
    loop.call_later(1, future.add_done_callback, callback('added when done'))
    loop.call_later(2, loop.stop)
    loop.run_forever()
