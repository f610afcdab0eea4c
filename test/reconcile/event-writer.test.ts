import { describe, expect, test } from 'vitest';
import type { AuditEvent } from '../../src/audit/event.ts';
import { createEventWriter } from '../../src/reconcile/event-writer.ts';
import { capturedLog } from '../store/scratch.ts';

/** A writer to a store that fails so many times. */
function writer(failures: number) {
  const batches: (readonly AuditEvent[])[] = [];
  let left = failures;
  const { log, lines } = capturedLog();
  let ids = 0;
  const events = createEventWriter({
    store: {
      async append(added) {
        if (left-- > 0) throw new Error('the disk is full');
        batches.push(added);
      },
    },
    clock: { now: () => 0, monotonic: () => 0 },
    log,
    newId: () => `id-${++ids}`,
  });
  return { events, batches, lines };
}

const change = (name: string) =>
  ({ event_type: 'ManifestRemoved', tenant_id: 'acme', payload: { name } }) as const;

test('events are of no call, and have the revision', async () => {
  const { events, batches } = writer(0);
  events.write([change('a')], 'r1');
  await events.close();
  expect(batches).toEqual([
    [
      {
        id: 'id-1',
        event_type: 'ManifestRemoved',
        execution_id: null,
        tenant_id: 'acme',
        revision: 'r1',
        payload: { name: 'a' },
        created_at: '1970-01-01T00:00:00.000Z',
      },
    ],
  ]);
});

test('many are written in parts, in order', async () => {
  const { events, batches } = writer(0);
  events.write(
    Array.from({ length: 2_500 }, (_, index) => change(`n${index}`)),
    'r1',
  );
  events.write([change('last')], 'r2');
  await events.close();
  expect(batches.map(({ length }) => length)).toEqual([...Array.from({ length: 12 }, () => 200), 100, 1]);
  expect(batches.flat().map(({ payload }) => payload.name)).toEqual([
    ...Array.from({ length: 2_500 }, (_, index) => `n${index}`),
    'last',
  ]);
});

describe('a store that fails', () => {
  test('is asked again, and nothing is lost or swapped', async () => {
    const { events, batches, lines } = writer(1);
    events.write([change('a')], 'r1');
    events.write([change('b')], 'r2');
    await expect.poll(() => batches.length, { timeout: 3_000 }).toBe(2);
    expect(batches.flat().map(({ payload }) => payload.name)).toEqual(['a', 'b']);
    expect(lines).toEqual(['warn configuration events could not be written']);
    await events.close();
  });

  test('does not hold up the end', async () => {
    const { events, batches } = writer(Number.POSITIVE_INFINITY);
    events.write([change('a')], 'r1');
    events.write([change('b')], 'r1');
    await events.close();
    expect(batches).toEqual([]);
  });
});
