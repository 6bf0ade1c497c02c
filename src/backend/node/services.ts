/**
 * Services by name and by port, from the system's own list.
 *
 * Node can ask the system for the service of a port, but only for TCP and together with the name of an
 * address. It cannot ask for the port of a service. So this file reads the list. It reads it each time,
 * because it may change, and synchronously, because literal addresses use no thread either. A system without
 * the file (such as many containers) has no services, as its own getaddrinfo() would report.
 */
import { IPPROTO_UDP } from '../../base/constants.ts';
import { systemFile } from './system-file.ts';

/** Returns the port, or null if there is no such service for the protocol. */
export function portOf(service: string, proto: number): number | null {
  const found = services(proto).find(({ names }) => names.includes(service));
  return found === undefined ? null : found.port;
}

/** Returns the first name of the service on a port, or null if it has no name. */
export function serviceOf(port: number, proto: number): string | null {
  const found = services(proto).find((service) => service.port === port);
  return found?.names[0] ?? null;
}

interface Service {
  port: number;
  names: string[];
}

/** Parses lines such as `http  80/tcp  www  # World Wide Web`. */
function services(proto: number): Service[] {
  const wanted = proto === IPPROTO_UDP ? 'udp' : 'tcp';
  return systemFile('services').flatMap(([name = '', where = '', ...aliases]) => {
    const [port, protocol] = where.split('/');
    return protocol === wanted ? [{ port: Number(port), names: [name, ...aliases] }] : [];
  });
}
