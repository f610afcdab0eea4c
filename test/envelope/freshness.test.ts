import { expect, test } from 'vitest';
import { checkFreshness } from '../../src/envelope/freshness.ts';
import { failureOf, NOW } from './signing.ts';

const envelope = { timestamp: NOW };

test.each([-30, -1, 0, 1, 30])('%d s away passes', (skew) => {
  expect(checkFreshness(envelope, (NOW + skew) * 1000)).toBeUndefined();
});

test('whole seconds are compared, so 30.999 s after still passes', () => {
  expect(checkFreshness(envelope, (NOW + 30) * 1000 + 999)).toBeUndefined();
});

test.each([
  [(NOW + 31) * 1000, 31, '31 s behind'],
  [(NOW - 30) * 1000 - 1, -31, '31 s ahead of'],
  [(NOW - 86_400) * 1000, -86_400, '86400 s ahead of'],
  [0, -NOW, `${NOW} s ahead of`],
])('at %d ms the envelope is not fresh', async (now_ms, skew_seconds, text) => {
  const error = await failureOf(() => checkFreshness(envelope, now_ms));
  expect(error).toMatchObject({ name: 'TOKEN_EXPIRED', layer: 'freshness', details: { skew_seconds } });
  expect(String(error)).toContain(text);
});
