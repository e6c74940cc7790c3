import { describe, expect, it } from '@jest/globals';
import { requireOwnPage } from '../../src/identity/session-caller.ts';

const HOME = 'https://mayfly.test';
const SITES = ['same-origin', 'same-site', 'cross-site', 'none', 'Same-Origin', '', null] as const;
const ORIGINS = [HOME, 'https://evil.test', 'null', `${HOME}:8443`, 'http://mayfly.test', `${HOME}.evil.test`, null] as const;
const PURPOSES = ['dashboard', 'background', 'Dashboard', '', null] as const;

const taken = (method: string, site: string | null, origin: string | null, purpose: string | null): boolean => {
  try {
    requireOwnPage({ cookie: 'c', site, origin, purpose }, method, HOME);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: 'cross_site_request' });
    return false;
  }
};

describe('a request with the cookie of a session', () => {
  it.each(['POST', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'post'])('that changes something (%s) is taken from the own page alone, of all that a browser can say of itself', (method) => {
    const passed = SITES.flatMap((site) => ORIGINS.flatMap((origin) => PURPOSES.flatMap((purpose) => (taken(method, site, origin, purpose) ? [[site, origin, purpose]] : []))));
    // By Sec-Fetch-Site whatever the Origin; without it, by the Origin that is ours.
    expect(passed).toEqual([...ORIGINS.map((origin) => ['same-origin', origin, 'dashboard']), [null, HOME, 'dashboard']]);
  });

  it.each(['GET', 'HEAD'])('that only reads (%s) is taken from the own page, from the address bar, and from what is no browser', (method) => {
    expect(SITES.filter((site) => taken(method, site, null, null))).toEqual(['same-origin', 'none', null]);
  });
});
