import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Ranges of one's own network; asked only where the configuration says so. */
const PRIVATE_RANGES: readonly string[] = ['private', 'loopback', 'uniqueLocal', 'carrierGradeNat'];

/**
 * Where clouds hand out the machine's own credentials, beyond the link-local ranges: EC2, ECS and EKS over IPv6, Google
 * over IPv6, Alibaba, and Azure's platform address.
 */
const METADATA: readonly string[] = ['fd00:ec2::254', 'fd00:ec2::23', 'fd20:ce::254', '100.100.100.200', '168.63.129.16'];

/** RFC 6052: an IPv4 address inside an IPv6 one, as DNS64 gives it out on networks with IPv6 only. */
const NAT64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96');
/** RFC 4291 section 2.5.5.1, deprecated: no honest name has one, and what it reaches is up to the kernel. */
const IPV4_COMPATIBLE = ipaddr.IPv6.parseCIDR('::/96');

/**
 * Why an address is not to be asked, or `undefined` when it may be. Metadata addresses never are; of the rest only public
 * unicast ones, and private ones with `allowPrivate`. All other ranges are refused, link-local among them.
 */
export function addressFault(text: string, allowPrivate: boolean): string | undefined {
  const address = innermost(text);
  if (address === undefined) return 'what it resolves to is no address';
  const range = address.range();
  if (METADATA.includes(address.toString())) return 'metadata addresses are never asked';
  if (PRIVATE_RANGES.includes(range)) return allowPrivate ? undefined : `private addresses (${range}) are not allowed by the configuration`;
  if (address instanceof ipaddr.IPv6 && address.match(IPV4_COMPATIBLE)) return 'addresses of a deprecated form are never asked';
  return range === 'unicast' ? undefined : `addresses of the range ${range} are never asked`;
}

/** The address that is really reached: IPv4 taken out of its IPv6 wrappings. `undefined` for no address, or one with a zone. */
function innermost(text: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  // Node's parser is the stricter one: ipaddr.js takes `1.2.3` for an address.
  if (text.includes('%') || isIP(text) === 0) return undefined;
  const address = ipaddr.process(text);
  const wrapped = address instanceof ipaddr.IPv6 && address.match(NAT64);
  return wrapped ? new ipaddr.IPv4(address.toByteArray().slice(12)) : address;
}
