/**
 * Services by name and by port, from the system's own list.
 *
 * Fact. Node asks the system for the service of a port, always for TCP and together with the name of an
 * address; and never for the port of a service. So the file is read here: each time, because it may change,
 * and without a thread, because literals take none. A system without the file (many a container) knows no
 * services, as its own getaddrinfo() would say.
 */
import { IPPROTO_UDP } from '../../base/constants.ts';
import { systemFile } from './system-file.ts';

/** Null where there is no such service for the protocol. */
export function portOf(service: string, proto: number): number | null {
  const found = services(proto).find(({ names }) => names.includes(service));
  return found === undefined ? null : found.port;
}

/** The first name of the service on a port; null where it has none. */
export function serviceOf(port: number, proto: number): string | null {
  const found = services(proto).find((service) => service.port === port);
  return found?.names[0] ?? null;
}

interface Service {
  port: number;
  names: string[];
}

/** Of lines such as `http  80/tcp  www  # World Wide Web`. */
function services(proto: number): Service[] {
  const wanted = proto === IPPROTO_UDP ? 'udp' : 'tcp';
  return systemFile('services').flatMap(([name = '', where = '', ...aliases]) => {
    const [port, protocol] = where.split('/');
    return protocol === wanted ? [{ port: Number(port), names: [name, ...aliases] }] : [];
  });
}
