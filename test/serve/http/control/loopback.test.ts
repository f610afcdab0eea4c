import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { foreignReason } from '../../../../src/serve/http/control/loopback.ts';

// Addresses that a test on loopback cannot come from.
const from = (remoteAddress: string | undefined): string | null =>
  foreignReason({ headers: { host: 'localhost' }, socket: { remoteAddress } } as IncomingMessage);

test.each(['127.0.0.1', '127.255.255.254', '::1', '::ffff:127.0.0.1', '::FFFF:127.0.0.1'])(
  '%s is this machine',
  (address) => {
    expect(from(address)).toBeNull();
  },
);

test.each([
  '10.0.0.1',
  '172.17.0.1',
  '128.0.0.1',
  '27.0.0.1',
  '1.127.0.0',
  '0.0.0.0',
  '::',
  '::127.0.0.1',
  '::2',
  'fe80::1',
  '::ffff:10.0.0.1',
  undefined,
])('%s is another', (address) => {
  expect(from(address)).toBe('this request came from another one');
});
