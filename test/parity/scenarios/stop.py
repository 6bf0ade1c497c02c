"""The callbacks that still run after stop(), and those that wait for the next run."""


def scenario(loop, log):
    def run(title):
        log(f'--- {title}')
        loop.run_forever()
        log(f'stopped, running: {loop.is_running()}')

    loop.call_soon(log, 'scheduled before')
    loop.stop()
    run('stop() before the run')

    def stops():
        log('stops')
        loop.stop()
        loop.call_soon(log, 'scheduled after, by the same callback')

    loop.call_soon(stops)
    loop.call_soon(log, 'in the queue behind')
    run('stop() in a callback')
    loop.stop()
    run('the next run')

    def both():
        loop.call_soon(log, 'scheduled before, for the next turn')
        loop.stop()
        loop.call_soon(log, 'scheduled after')

    loop.call_soon(both)
    run('stop() while a callback waits for the next turn')
    loop.stop()
    run('the next run')

    def twice():
        loop.stop()
        loop.stop()

    loop.call_soon(twice)
    loop.call_later(1, log, 'a timer')
    run('stop() twice')
    loop.call_later(2, loop.stop)
    run('the next run, with a timer of the one before')

    future = loop.create_future()
    loop.call_soon(loop.stop)
    try:
        loop.run_until_complete(future)
    except RuntimeError:
        log('stopped before the future was done')
    loop.call_soon(future.set_result, 'result')
    log(f'the future gives: {loop.run_until_complete(future)}')
