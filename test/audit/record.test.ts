import { expect, test } from 'vitest';
import type { AuditEvent, EventBody } from '../../src/audit/event.ts';
import { createRecorder } from '../../src/audit/record.ts';
import { GatewayError } from '../../src/errors.ts';
import { openScratch, scratchFile } from '../store/scratch.ts';

const call = { execution_id: 'exec-1', tenant_id: 'acme', revision: 'r1' };
const step = (index: number): EventBody => ({ event_type: 'WorkflowStepExecuted', payload: { index } });
const done: EventBody = { event_type: 'WorkflowInvocationCompleted', payload: {} };

interface Append {
  readonly events: readonly AuditEvent[];
  resolve(): void;
  reject(error: unknown): void;
}

/** A store that answers when the test says so. */
function aRecorder() {
  const appends: Append[] = [];
  let ids = 0;
  const recorder = createRecorder(
    {
      store: {
        append: (events) => new Promise((resolve, reject) => appends.push({ events, resolve, reject })),
      },
      clock: { now: () => 1_771_338_721_583, monotonic: () => 0 },
      newId: () => `id-${++ids}`,
    },
    call,
  );
  const written = () =>
    appends.map(({ events }) => events.map((event) => event.payload.index ?? event.event_type));
  return { recorder, appends, written };
}

test('an event carries the call, an id and the time', () => {
  const { recorder, appends } = aRecorder();
  expect(recorder.event(step(1))).toEqual({
    id: 'id-1',
    event_type: 'WorkflowStepExecuted',
    payload: { index: 1 },
    created_at: '2026-02-17T14:32:01.583Z',
    ...call,
  });
  expect(appends).toEqual([]);
});

test('one step and the outcome are one append', async () => {
  const { recorder, appends, written } = aRecorder();
  recorder.record(step(1));
  expect(written()).toEqual([]);
  const concluded = recorder.conclude(done);
  appends[0]?.resolve();
  expect(await concluded).toBe(appends[0]?.events[1]?.id);
  expect(written()).toEqual([[1, 'WorkflowInvocationCompleted']]);
});

test('of several steps all but the newest are written at once', async () => {
  const { recorder, written } = aRecorder();
  for (const index of [1, 2, 3]) recorder.record(step(index));
  expect(written()).toEqual([[1], [2]]);
  recorder.conclude(done).catch(() => {});
  expect(written()).toEqual([[1], [2], [3, 'WorkflowInvocationCompleted']]);
});

test('conclude awaits the earlier ones too', async () => {
  const { recorder, appends } = aRecorder();
  for (const index of [1, 2]) recorder.record(step(index));
  let settled = false;
  const concluded = recorder.conclude(done).then(() => {
    settled = true;
  });
  appends[1]?.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  expect(settled).toBe(false);
  appends[0]?.resolve();
  await concluded;
});

test.each([0, 1])('conclude rejects when append %i failed, and only then', async (failing) => {
  const { recorder, appends, written } = aRecorder();
  for (const index of [1, 2]) recorder.record(step(index));
  const failure = new GatewayError('AUDIT_UNAVAILABLE', 'the disk is full');
  if (failing === 0) appends[0]?.reject(failure);
  // An unhandled rejection would fail this run.
  await new Promise((resolve) => setImmediate(resolve));
  const concluded = recorder.conclude(done);
  expect(written()).toHaveLength(2);
  if (failing === 1) {
    appends[0]?.resolve();
    appends[1]?.reject(failure);
  } else {
    appends[1]?.resolve();
  }
  await expect(concluded).rejects.toBe(failure);
});

test('any failure of the store is AUDIT_UNAVAILABLE', async () => {
  const cause = new TypeError('no');
  const store = {
    append: () => {
      throw cause;
    },
  };
  const recorder = createRecorder(
    { store, clock: { now: () => 0, monotonic: () => 0 }, newId: () => 'x' },
    call,
  );
  await expect(recorder.conclude(done)).rejects.toMatchObject({ name: 'AUDIT_UNAVAILABLE', cause });
});

test('on a real store the events of a call are in the order they happened', async () => {
  const store = await openScratch(scratchFile());
  let ids = 0;
  const deps = { store, clock: { now: () => 0, monotonic: () => 0 }, newId: () => `id-${++ids}` };
  const recorder = createRecorder(deps, call);
  for (let index = 0; index < 50; index++) recorder.record(step(index));
  await recorder.conclude(done);
  const events = await store.query({});
  expect(events.map((event) => event.id)).toEqual(events.map((_, index) => `id-${index + 1}`));
  expect(events.at(-1)?.event_type).toBe('WorkflowInvocationCompleted');
});

test('what comes after the outcome is written at once', async () => {
  const { recorder, appends, written } = aRecorder();
  const concluded = recorder.conclude(done);
  appends[0]?.resolve();
  await concluded;
  recorder.record(step(1));
  expect(written()).toEqual([['WorkflowInvocationCompleted'], [1]]);
});
