/** UDP echo by `dgram` alone. */
import { createSocket } from 'node:dgram';
import { announce } from '../announce.ts';

const socket = createSocket('udp4');
socket.on('message', (message, { port, address }) => socket.send(message, port, address));
socket.bind({ address: '127.0.0.1', port: 0 }, () => announce(socket.address().port));
