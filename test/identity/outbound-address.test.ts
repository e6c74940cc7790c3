import { describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import { addressFault } from '../../src/identity/outbound-address.ts';

const METADATA = [
  '169.254.169.254', '169.254.170.2', '169.254.170.23', '169.254.0.1', '100.100.100.200', '168.63.129.16', 'fd00:ec2::254', 'fd00:ec2::23', 'fd00:0ec2:0:0:0:0:0:254',
  'fd20:ce::254', 'fe80::1', 'fe80::a9fe:a9fe', '::ffff:169.254.169.254', '::ffff:a9fe:a9fe', '::ffff:100.100.100.200', '64:ff9b::a9fe:a9fe', '64:ff9b::6464:64c8',
];
const NEVER = [
  '0.0.0.0', '::', '255.255.255.255', '224.0.0.1', 'ff02::1', '192.0.0.192', '198.18.0.1', '240.0.0.1', '2001:db8::1', '100::1', 'fec0::1', '2002:a9fe:a9fe::1', '2001::1',
  '::a9fe:a9fe', '::ffff:0:a9fe:a9fe', '64:ff9b:1::a9fe:a9fe', 'fe80::1%lo', 'fd00:ec2::254%eth0', 'localhost', '', '1.2.3', '0x7f.1.1.1.1',
];
const PRIVATE = ['127.0.0.1', '127.255.255.254', '10.1.2.3', '192.168.1.1', '172.16.0.1', '::1', 'fc00::1', 'fd12::1', '100.64.0.1', '::ffff:10.0.0.1', '::ffff:127.0.0.1', '64:ff9b::10.0.0.1', '::127.0.0.1'];
const PUBLIC = ['93.184.216.34', '172.15.255.255', '172.32.0.1', '169.253.255.255', '2606:4700::1111', '::ffff:93.184.216.34', '64:ff9b::5db8:d822'];

describe('an address', () => {
  it.each([...METADATA, ...NEVER])('%s is never asked, whatever the configuration', (address) => {
    expect(addressFault(address, true)).toEqual(expect.any(String));
    expect(addressFault(address, false)).toEqual(expect.any(String));
  });

  it.each(PRIVATE)('%s is asked only where private ones are allowed', (address) => {
    expect(addressFault(address, false)).toContain('private');
    expect(addressFault(address, true)).toBeUndefined();
  });

  it.each(PUBLIC)('%s is asked (control)', (address) => {
    expect(addressFault(address, false)).toBeUndefined();
  });

  it('is judged as the IPv4 address that it wraps', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.boolean(), fc.constantFrom('::ffff:', '64:ff9b::'), (address, allowPrivate, prefix) => {
        expect(addressFault(`${prefix}${address}`, allowPrivate)).toEqual(addressFault(address, allowPrivate));
      }),
    );
  });
});
