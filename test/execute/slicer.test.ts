import { Worker } from 'node:worker_threads';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createMask } from '../../src/credentials/mask.ts';
import { Secret } from '../../src/credentials/secret.ts';
import { compileQuery } from '../../src/execute/jsonpath.ts';
import { MAX_JSON_BYTES } from '../../src/execute/reply.ts';
import { MOST, type Slices } from '../../src/execute/slice.ts';
import {
  createSlicer,
  IN_PLACE_BYTES,
  IN_PLACE_MASKED_BYTES,
  type SliceRequest,
  type Slicer,
  type SlicerOptions,
} from '../../src/execute/slicer.ts';
import { rejection } from './upstream.ts';

const never = new AbortController().signal;

function slicer(options: SlicerOptions = {}): Slicer {
  const made = createSlicer(options);
  onTestFinished(() => made.close());
  return made;
}

function request(value: unknown, fields: string[], more: Partial<SliceRequest> = {}): SliceRequest {
  return ofText(JSON.stringify(value), fields, more);
}

function ofText(text: string, fields: string[], more: Partial<SliceRequest> = {}): SliceRequest {
  return {
    body: { bytes: Buffer.from(text), content_type: 'application/json' },
    mask: null,
    fields: fields.map(compileQuery),
    probes: [],
    max_bytes: MOST.bytes,
    ...more,
  };
}

/** Records whose JSON has about so many bytes. */
function records(bytes: number): { data: { id: number; name: string; tags: string[] }[] } {
  const one = { id: 1_000_000, name: `customer ${'x'.repeat(60)}`, tags: ['a', 'b'] };
  const count = Math.ceil(bytes / JSON.stringify(one).length);
  return { data: Array.from({ length: count }, (_, i) => ({ ...one, id: i })) };
}

const SMALL = records(20_000);
const LARGE = records(2 * IN_PLACE_BYTES);
const PROGRAM = new URL('../../src/execute/slice-worker.ts', import.meta.url);
/** A thread that never answers. */
const HANGING = () => new Worker('setInterval(() => {}, 1000)', { eval: true });
const HUNG = () =>
  new Worker("require('node:worker_threads').parentPort.on('message', () => { for (;;); })", { eval: true });

describe.each([
  ['in place', SMALL],
  ['in a thread', LARGE],
])('%s', (where, value) => {
  /** What was asked of threads. */
  const counted = (): { made: Slicer; threads: () => number } => {
    let threads = 0;
    const spawn = (): Worker => {
      threads += 1;
      return new Worker(PROGRAM);
    };
    return { made: slicer({ spawn }), threads: () => threads };
  };

  test('gives what each expression matches, byte for byte as JSON.stringify writes it', async () => {
    const { made, threads } = counted();
    const fields = ['$.data[0].name', '$.data[*].id', '$.none', '$.data[1]'];
    const slices = (await made.slice(request(value, fields), never)) as Slices;
    const expected = {
      '$.data[0].name': [value.data[0]!.name],
      '$.data[*].id': value.data.map(({ id }) => id),
      '$.none': [],
      '$.data[1]': [value.data[1]],
    };
    expect(slices.json).toBe(JSON.stringify(expected));
    expect(slices.bytes).toBe(Buffer.byteLength(slices.json));
    expect(slices.matches).toBe(value.data.length + 2);
    expect(threads()).toBe(where === 'in place' ? 0 : 1);
  });

  test('looks the probes up: texts and numbers, nothing else', async () => {
    const probes = ['$.next', '$.page', '$.data', '$.none', '$.empty', '$.long'].map(compileQuery);
    const extended = { ...value, next: '/x?page=2', page: 2, empty: '', long: 'x'.repeat(2_049) };
    const { probed } = (await slicer().slice(request(extended, ['$.page'], { probes }), never)) as Slices;
    expect(probed).toEqual(['/x?page=2', 2, null, null, null, null]);
  });

  test('counts bytes, not characters', async () => {
    const slices = (await slicer().slice(request({ ...value, n: 'ü🧀' }, ['$.n']), never)) as Slices;
    expect(slices).toMatchObject({ json: '{"$.n":["ü🧀"]}', bytes: 18 });
  });

  test('refuses more bytes than the caller may have, to the byte', async () => {
    const fields = ['$.data[*].id'];
    const { bytes } = (await slicer().slice(request(value, fields), never)) as Slices;
    await slicer().slice(request(value, fields, { max_bytes: bytes }), never);
    const refused = slicer().slice(request(value, fields, { max_bytes: bytes - 1 }), never);
    expect(await rejection(refused)).toMatchObject({
      name: 'RESPONSE_TOO_LARGE',
      message: `the slices have more than ${bytes - 1} bytes`,
    });
  });

  test('says that a body is not what it says', async () => {
    const text = `<html>\n${JSON.stringify(value)}`;
    expect(await slicer().slice(ofText(text, ['$']), never)).toEqual({ problem: 'is not JSON' });
  });

  test('masks a secret before anything is selected, so that no filter can find it out', async () => {
    const mask = createMask();
    mask.add(new Secret('hunter22-and-more'));
    // Written with an escape, which hides it from whoever looks at the bytes.
    const echoed = JSON.stringify({ ...value, echo: { key: 'KEY' } }).replace(
      'KEY',
      'h\\u0075nter22-and-more',
    );
    const fields = ['$.echo.key', "$.echo[?@ > 'h']", "$.echo[?@ == 'hunter22-and-more']", '$.data[0].id'];
    const { json } = (await slicer().slice(ofText(echoed, fields, { mask }), never)) as Slices;
    expect(JSON.parse(json)).toEqual({
      '$.echo.key': ['[secret]'],
      "$.echo[?@ > 'h']": [],
      "$.echo[?@ == 'hunter22-and-more']": [],
      '$.data[0].id': [0],
    });
  });

  test('leaves nesting that nobody can bear alone', async () => {
    const text = `{"data":${JSON.stringify(value)},"deep":${'['.repeat(300)}${']'.repeat(300)}}`;
    expect(await slicer().slice(ofText(text, ['$.data']), never)).toMatchObject({
      problem: 'nests deeper than 256 levels',
    });
  });
});

test('a text is one value, an empty body is null', async () => {
  const text = { bytes: Buffer.from('plain'), content_type: 'text/plain' };
  const empty = { bytes: Buffer.from(''), content_type: 'application/json' };
  const fields = ['$', '$.a'].map(compileQuery);
  const sliced = async (body: SliceRequest['body']) =>
    ((await slicer().slice({ body, mask: null, fields, probes: [], max_bytes: 1_000 }, never)) as Slices)
      .json;
  expect(await sliced(text)).toBe('{"$":["plain"],"$.a":[]}');
  expect(await sliced(empty)).toBe('{"$":[null],"$.a":[]}');
});

describe('an expression that asks for too much', () => {
  const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1), nested(depth - 1)]);

  test.each([
    ['$..*..*..*', nested(12), /visits more than 1000000 nodes; name more of the path$/],
    ['$[?@..*]', Array(1_000).fill(nested(8)), /visits more than 1000000 nodes/],
    ['$..[?count($..*) > 1]', nested(10), /visits more than 1000000 nodes/],
  ])('%s', async (field, value, message) => {
    const refused = await rejection(slicer().slice(request(value, [field]), never));
    expect(refused).toMatchObject({ name: 'INVALID_ARGUMENTS', message: expect.stringMatching(message) });
  });

  test('what each may do, all of them together may not', async () => {
    // 65,535 lists and 65,536 numbers, all visited by each of the fields.
    const fields = Array.from({ length: 20 }, (_, i) => `$..x${i}`);
    const refused = slicer().slice(request(nested(16), fields), never);
    expect(await rejection(refused)).toMatchObject({
      name: 'INVALID_ARGUMENTS',
      message: 'all fields together visit more than 2000000 nodes; name more of the paths',
    });
  });

  test('more matches than anybody reads', async () => {
    const refused = slicer().slice(request(Array(250_001).fill(1), ['$[*]', '$.*']), never);
    expect(await rejection(refused)).toMatchObject({
      name: 'INVALID_ARGUMENTS',
      message: 'the fields match more than 500000 values; name more of the paths',
    });
  });

  test('a reply that is written again for each of its levels ends at the limit of bytes', async () => {
    let value: unknown = 'x'.repeat(200_000);
    for (let i = 0; i < 200; i += 1) value = [value];
    expect(await rejection(slicer().slice(request(value, ['$..*']), never))).toMatchObject({
      name: 'RESPONSE_TOO_LARGE',
      details: { limit_bytes: MOST.bytes },
    });
  });

  test('recursive descent through all of 10 MB of records is fine', async () => {
    const slices = await slicer().slice(request(records(10_000_000), ['$..name']), never);
    expect((slices as Slices).matches).toBeGreaterThan(80_000);
  }, 30_000);
});

describe('threads', () => {
  test('one that hangs is ended, and the next body gets another', async () => {
    const spawned: Worker[] = [];
    const spawn = (): Worker => {
      const thread = spawned.length === 0 ? HUNG() : new Worker(PROGRAM);
      spawned.push(thread);
      return thread;
    };
    // Long enough for a good thread on a busy machine.
    const made = slicer({ threads: 1, timeout_ms: 3_000, spawn });
    const [hung, after] = [request(LARGE, ['$']), request(LARGE, ['$.data[0].id'])];
    const size = hung.body.bytes.length;
    const refused = rejection(made.slice(hung, never));
    const next = made.slice(after, never);
    expect(await refused).toMatchObject({
      name: 'RESPONSE_TOO_LARGE',
      message: `the reply of ${size} bytes could not be sliced within 3000 ms`,
    });
    expect(await next).toMatchObject({ json: '{"$.data[0].id":[0]}' });
    expect(spawned).toHaveLength(2);
    expect(spawned[0]!.threadId).toBe(-1);
  });

  test('get no body that could fill their memory', async () => {
    const body = { bytes: Buffer.alloc(MAX_JSON_BYTES + 1, ' '), content_type: 'application/json' };
    const bytes = body.bytes.length;
    const refused = slicer({ spawn: HANGING }).slice({ ...request(LARGE, ['$']), body }, never);
    expect(await rejection(refused)).toMatchObject({
      name: 'RESPONSE_TOO_LARGE',
      message: `the reply has ${bytes} bytes; up to ${bytes - 1} are sliced`,
    });
  });

  test('a fault in one is ours', async () => {
    const spawn = (): Worker =>
      new Worker("require('node:worker_threads').parentPort.on('message', () => { throw new Error('x') })", {
        eval: true,
      });
    const refused = slicer({ spawn }).slice(request(LARGE, ['$']), never);
    expect(await rejection(refused)).toMatchObject({ name: 'INTERNAL', message: 'internal error' });
  });

  test('are as many as told; what waits beyond the limit is refused, and what is small goes on', async () => {
    let threads = 0;
    const spawn = (): Worker => {
      threads += 1;
      return HANGING();
    };
    const made = createSlicer({ threads: 2, max_waiting: 1, spawn });
    const outcomes = [1, 2, 3].map(() => rejection(made.slice(request(LARGE, ['$']), never)));
    expect(threads).toBe(2);
    expect(() => made.checkRoom()).toThrow('1 large replies wait to be sliced, the limit; try again');
    expect(await rejection(made.slice(request(LARGE, ['$']), never))).toMatchObject({
      name: 'OVERLOADED',
      retry_after_seconds: 1,
    });
    expect(await made.slice(request(SMALL, ['$.data[0].id']), never)).toMatchObject({ matches: 1 });
    await made.close();
    // Those that ran were cut off, the one that waited was refused.
    expect((await Promise.all(outcomes)).map(({ name }) => name)).toEqual([
      'INTERNAL',
      'INTERNAL',
      'OVERLOADED',
    ]);
    expect(() => made.checkRoom()).toThrow('the gateway is shutting down');
  });

  test('a caller who goes away gives its place in the queue back', async () => {
    const made = slicer({ threads: 1, max_waiting: 1, spawn: HANGING });
    rejection(made.slice(request(LARGE, ['$']), never));
    const controller = new AbortController();
    const waiting = rejection(made.slice(request(LARGE, ['$']), controller.signal));
    expect(() => made.checkRoom()).toThrow();
    controller.abort();
    expect(await waiting).toMatchObject({ name: 'UPSTREAM_TIMEOUT' });
    made.checkRoom();
    expect(await rejection(made.slice(request(SMALL, ['$']), controller.signal))).toMatchObject({
      name: 'UPSTREAM_TIMEOUT',
    });
  });
});

test('a reply in which secrets are looked for goes to a thread sooner', async () => {
  const mask = createMask();
  mask.add(new Secret('hunter22-and-more'));
  let threads = 0;
  const spawn = (): Worker => {
    threads += 1;
    return new Worker(PROGRAM);
  };
  const made = slicer({ spawn });
  const middling = records(2 * IN_PLACE_MASKED_BYTES);
  await made.slice(request(middling, ['$.data[0].id']), never);
  await made.slice(request(middling, ['$.data[0].id'], { mask: createMask() }), never);
  expect(threads).toBe(0);
  await made.slice(request(middling, ['$.data[0].id'], { mask }), never);
  expect(threads).toBe(1);
});

test('the bytes of a large body are handed over, not copied', async () => {
  const handed = request(LARGE, ['$.data[0].id']);
  const answer = slicer().slice(handed, never);
  expect(handed.body.bytes.byteLength).toBe(0);
  expect(await answer).toMatchObject({ matches: 1 });
  // A small buffer is a part of one that others use too.
  const shared = Buffer.concat([Buffer.alloc(8), Buffer.from(JSON.stringify(LARGE))]).subarray(8);
  const body = { bytes: shared, content_type: 'application/json' };
  expect(await slicer().slice({ ...request(LARGE, ['$.data[0].id']), body }, never)).toMatchObject({
    matches: 1,
  });
  expect(shared.byteLength).toBeGreaterThan(IN_PLACE_BYTES);
});
