/** The services that a simulated host knows by name, as in `/etc/services`. */
import { IPPROTO_TCP, IPPROTO_UDP } from '../../../base/constants.ts';

interface Service {
  readonly port: number;
  /** The first is the name of the port. */
  readonly names: readonly string[];
  readonly protocols: readonly number[];
}

const TCP: readonly number[] = [IPPROTO_TCP];
const UDP: readonly number[] = [IPPROTO_UDP];
const BOTH: readonly number[] = [IPPROTO_TCP, IPPROTO_UDP];

const SERVICES: readonly Service[] = [
  { port: 7, names: ['echo'], protocols: BOTH },
  { port: 9, names: ['discard'], protocols: BOTH },
  { port: 21, names: ['ftp'], protocols: TCP },
  { port: 22, names: ['ssh'], protocols: TCP },
  { port: 23, names: ['telnet'], protocols: TCP },
  { port: 25, names: ['smtp', 'mail'], protocols: TCP },
  { port: 53, names: ['domain'], protocols: BOTH },
  { port: 67, names: ['bootps'], protocols: UDP },
  { port: 68, names: ['bootpc'], protocols: UDP },
  { port: 69, names: ['tftp'], protocols: UDP },
  { port: 80, names: ['http', 'www'], protocols: TCP },
  { port: 110, names: ['pop3', 'pop-3'], protocols: TCP },
  { port: 123, names: ['ntp'], protocols: UDP },
  { port: 143, names: ['imap2', 'imap'], protocols: TCP },
  { port: 161, names: ['snmp'], protocols: BOTH },
  { port: 389, names: ['ldap'], protocols: BOTH },
  { port: 443, names: ['https'], protocols: BOTH },
  { port: 465, names: ['submissions', 'smtps'], protocols: TCP },
  { port: 514, names: ['syslog'], protocols: UDP },
  { port: 587, names: ['submission'], protocols: TCP },
  { port: 636, names: ['ldaps'], protocols: BOTH },
  { port: 993, names: ['imaps'], protocols: TCP },
  { port: 995, names: ['pop3s'], protocols: TCP },
  { port: 1883, names: ['mqtt'], protocols: TCP },
  { port: 3306, names: ['mysql'], protocols: TCP },
  { port: 5222, names: ['xmpp-client', 'jabber-client'], protocols: TCP },
  { port: 5353, names: ['mdns'], protocols: UDP },
  { port: 5432, names: ['postgresql', 'postgres'], protocols: TCP },
  { port: 5672, names: ['amqp'], protocols: TCP },
  { port: 6379, names: ['redis'], protocols: TCP },
  { port: 8080, names: ['http-alt', 'webcache'], protocols: BOTH },
  { port: 8883, names: ['secure-mqtt'], protocols: TCP },
];

/** Returns the port, or null if there is no such service for the protocol. */
export function portOf(name: string, proto: number): number | null {
  const found = SERVICES.find(({ names, protocols }) => names.includes(name) && protocols.includes(proto));
  return found?.port ?? null;
}

/** Returns the name of the service on a port, or null. */
export function serviceOf(port: number, proto: number): string | null {
  const found = SERVICES.find((service) => service.port === port && service.protocols.includes(proto));
  return found?.names[0] ?? null;
}
