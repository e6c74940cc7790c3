import { expect, it } from '@jest/globals';
import { authzenUrlOf } from '../../src/config/authzen-url.ts';
import { configSchema } from '../../src/config/config-schema.ts';

const { authzen, http } = configSchema.shape;

it.each([
  [undefined, undefined, undefined],
  [undefined, 'https://mayfly.test', 'https://mayfly.test'],
  [undefined, 'https://mayfly.test/', 'https://mayfly.test'],
  [undefined, 'https://mayfly.test:8443', 'https://mayfly.test:8443'],
  [undefined, 'https://mayfly.test/broker', undefined],
  [undefined, 'https://mayfly.test/?a=b', undefined],
  ['https://pdp.test', 'https://mayfly.test', 'https://pdp.test'],
  ['https://pdp.test', undefined, 'https://pdp.test'],
])('with authzen.url %s and http.public_url %s, enforcement points find the broker at %s', (url, publicUrl, found) => {
  expect(authzenUrlOf({ authzen: authzen.parse({ url }), http: http.parse({ public_url: publicUrl }) })).toBe(found);
});
