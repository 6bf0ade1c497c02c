/**
 * A broker (aedes) and a client of MQTT over connections of the loop. The client takes a function that opens
 * its stream, and calls it again after the connection was lost.
 *
 *   $ node --import tsx examples/frameworks/mqtt.ts
 */
import { createServer } from 'node:net';
import { Aedes } from 'aedes';
import { getRunningLoop, run } from 'gyre';
import { connectDuplex, serve } from 'gyre/node';
import mqtt from 'mqtt';

await run(async () => {
  const loop = getRunningLoop();
  const broker = await Aedes.createBroker();
  await using server = await serve(createServer(broker.handle), { host: '127.0.0.1', port: 0 });
  const { port } = server.address() as { port: number };
  const dial = () => connectDuplex((factory) => loop.createConnection(factory, '127.0.0.1', port));

  const client = new mqtt.MqttClient(dial, { clientId: 'thermometer' });
  client.on('message', (topic, payload) => console.log(`${topic}: ${payload}`));
  await new Promise((resolve) => client.once('connect', resolve));
  await client.subscribeAsync('rooms/+/temperature');
  const received = new Promise((resolve) => client.once('message', resolve));
  await client.publishAsync('rooms/kitchen/temperature', '21.5', { qos: 1 });
  await received;
  await client.endAsync();
  await new Promise<void>((resolve) => broker.close(resolve));
});
