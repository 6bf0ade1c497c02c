import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { test } from 'node:test';
import { withProgram } from './program.ts';

/** A person in the room, with lines to send and lines to read. */
class Guest {
  heard: string = '';
  readonly #socket: Socket;
  readonly #closed: Promise<void>;

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.on('data', (data) => {
      this.heard += String(data);
    });
    // A person who floods the room is thrown out.
    this.#socket.on('error', () => {});
    this.#closed = new Promise((resolve) => this.#socket.once('close', () => resolve()));
  }

  say(line: string): void {
    this.#socket.write(`${line}\n`);
  }

  async untilHeard(text: string): Promise<void> {
    while (!this.heard.includes(text)) {
      await new Promise((resolve) => this.#socket.once('data', resolve));
    }
  }

  leave(): Promise<void> {
    this.#socket.end();
    return this.#closed;
  }

  untilClosed(): Promise<void> {
    return this.#closed;
  }
}

test('examples/chat.ts, served by the tour, sends each line to everybody else, and Ctrl-C closes the room', () =>
  withProgram(['tour.ts', '--serve'], async (program) => {
    const [, port] = await program.untilSaid(/chat on 127\.0\.0\.1:(\d+)/);
    const ada = new Guest(Number(port));
    await ada.untilHeard('your name?');
    ada.say('Ada');
    await program.untilSaid(/Ada came in/);

    const linus = new Guest(Number(port));
    linus.say('Linus');
    await ada.untilHeard('* Linus came in');
    linus.say('hello');
    await ada.untilHeard('Linus: hello');
    // In pieces, at any boundary.
    ada.say('good\nmorning');
    await linus.untilHeard('Ada: good\nAda: morning\n');
    assert.ok(!ada.heard.includes('Ada: good'));

    await linus.leave();
    await ada.untilHeard('* Linus went out');

    const flood = new Guest(Number(port));
    flood.say('x'.repeat(100_000));
    await flood.untilClosed();

    program.interrupt();
    assert.equal(await program.ended(), 0, program.output);
    await ada.untilClosed();
    assert.match(ada.heard, /the server is closing/);
    assert.match(program.output, /closing: 1 in the room/);
  }));
