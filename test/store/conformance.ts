/** What every store has to do: the port's docstrings as tests. Each implementation runs this suite. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AuditEvent, ChainedEvent, StoredEvent } from '../../src/audit/event.ts';
import { verifyChain } from '../../src/audit/verify.ts';
import { isoTime } from '../../src/clock.ts';
import { newId } from '../../src/ids.ts';
import {
  type LeaseNote,
  MAX_QUERY_LIMIT,
  type Session,
  type SessionFilter,
  type Store,
} from '../../src/store/store.ts';
import { anEvent, collect } from './events.ts';

export interface StoreUnderTest {
  readonly store: Store;
  /** Closes the store and opens its data again. */
  reopen(): Promise<Store>;
  /** Makes it so that the events so far were stored three weeks ago. */
  age(): Promise<void>;
  /** Closes what is open and removes the data. */
  dispose(): Promise<void>;
}

const unavailable = expect.objectContaining({ name: 'AUDIT_UNAVAILABLE' });
const invalid = expect.objectContaining({ name: 'INVALID_ARGUMENTS' });

export function storeConformance(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`${name}: the store port`, () => {
    let under: StoreUnderTest;
    let store: Store;

    beforeEach(async () => {
      under = await open();
      store = under.store;
    });
    afterEach(() => under.dispose());

    const current = (): Store => store;
    const reopen = (): Promise<Store> => under.reopen();
    describe('append', () => appends(current));
    describe('admit and purgeReplay', () => claims(current, reopen));
    describe('query', () => queries(current));
    describe('scan', () => chains(current, reopen));
    describe('last good set', () => lastGoods(current, reopen));
    describe('leases', () => leases(current, reopen));
    describe('sessions', () => sessions(current, reopen));
    describe('trim', () => trims(current, reopen, () => under.age()));
    describe('replicas', () => presences(current));
    describe('close', () => closes(current));
  });
}

function appends(store: () => Store): void {
  test('an appended event comes back with every field, its position and its link', async () => {
    const event = anEvent({ execution_id: null, tenant_id: null, revision: null });
    await store().append([event]);
    const [stored] = await store().query({});
    expect(stored).toEqual({
      ...event,
      position: expect.any(Number),
      writer: expect.any(String),
      seq: 1,
      prev_hash: '0'.repeat(64),
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  test('events keep the order of the calls to append', async () => {
    const events = Array.from({ length: 300 }, (_, index) => anEvent({ payload: { index } }));
    await Promise.all(chunks(events, 3).map((three) => store().append(three)));
    const stored = await store().query({ limit: 1_000 });
    expect(ids(stored)).toEqual(ids(events));
    expect(stored.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1));
    const positions = stored.map((event) => event.position);
    expect(positions).toEqual([...positions].sort((a, b) => a - b));
  });

  test('nothing to append is nothing', async () => {
    await store().append([]);
    expect(await store().query({})).toEqual([]);
  });

  test('a refused append leaves nothing, and those beside it are stored', async () => {
    const [before, first, after] = [anEvent(), anEvent(), anEvent()];
    const results = await Promise.allSettled([
      store().append([before]),
      store().append([first, anEvent({ id: before.id })]),
      store().append([after]),
    ]);
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(results[1]).toMatchObject({ reason: unavailable });
    expect(ids(await store().query({}))).toEqual([before.id, after.id]);
    await expectSound(store());
  });

  test('a payload that is not JSON is refused', async () => {
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    await expect(store().append([anEvent({ payload: circular })])).rejects.toEqual(unavailable);
    await expect(store().append([anEvent({ payload: { big: 1n } })])).rejects.toEqual(unavailable);
    await expect(store().admit(aClaim(), [anEvent({ payload: circular })])).rejects.toEqual(unavailable);
    expect(await store().query({})).toEqual([]);
  });

  test('a payload of 1 MB comes back as it was', async () => {
    const payload = { text: 'käse "\\\u2028\0🧀'.repeat(80_000) };
    await store().append([anEvent({ payload })]);
    const [stored] = await store().query({});
    expect(stored?.payload).toEqual(payload);
    await expectSound(store());
  });

  test('any text and any JSON come back as they were, and the chain holds', async () => {
    const text = fc.string({ unit: 'binary', maxLength: 40 });
    const wild = fc.record({
      text,
      json: fc.jsonValue({ maxDepth: 4 }),
      unit: fc.string({ unit: 'grapheme' }),
    });
    await fc.assert(
      fc.asyncProperty(wild, async ({ text, json, unit }) => {
        const payload = { [unit]: json, text };
        const event = anEvent({ payload, execution_id: text, tenant_id: unit });
        await store().append([event]);
        const [stored] = await store().query({ limit: 1 });
        expect(JSON.stringify(stored?.payload)).toBe(JSON.stringify(payload));
        expect(stored).toMatchObject({ id: event.id, execution_id: text, tenant_id: unit });
      }),
      { numRuns: 100 },
    );
    await expectSound(store());
  });

  test('half a character is stored as the replacement character, and the chain holds', async () => {
    await store().append([
      anEvent({ execution_id: 'a\ud800b', payload: { half: '\udc00', ['__proto__']: 1 } }),
    ]);
    const [stored] = await store().query({});
    expect(stored?.execution_id).toBe('a\ufffdb');
    expect(stored?.payload.half).toBe('\udc00');
    await expectSound(store());
  });
}

function claims(store: () => Store, reopen: () => Promise<Store>): void {
  test('of 1,000 claims of 100 ids at once exactly one wins each', async () => {
    const attempts = Array.from({ length: 1_000 }, (_, index) => index);
    const won = await Promise.all(
      attempts.map((index) =>
        store().admit(aClaim({ id: `id-${index % 100}` }), [anEvent({ payload: { index } })]),
      ),
    );
    const winners = attempts.filter((index) => won[index] === 'admitted');
    expect(winners.map((index) => index % 100).sort((a, b) => a - b)).toEqual(attempts.slice(0, 100));
    const stored = await store().query({ limit: 2_000 });
    expect(stored.map((event) => event.payload.index)).toEqual(winners);
    await expectSound(store());
  });

  test('a claim with nothing to say is a claim', async () => {
    const claim = aClaim();
    expect(await store().admit(claim, [])).toBe('admitted');
    expect(await store().admit(claim, [])).toBe('replayed');
    expect(await store().query({})).toEqual([]);
  });

  test('a claim whose event is refused leaves the id free', async () => {
    const claim = aClaim();
    const event = anEvent();
    await store().append([event]);
    const beside = store().admit(aClaim(), [anEvent()]);
    await expect(store().admit(claim, [anEvent(), event])).rejects.toEqual(unavailable);
    expect(await beside).toBe('admitted');
    expect(await store().query({})).toHaveLength(2);
    expect(await store().admit(claim, [])).toBe('admitted');
  });

  test('a claimed id stays claimed over a restart, also past its time', async () => {
    const claim = aClaim({ expires_at: 1_000 });
    await store().admit(claim, [anEvent()]);
    const again = await reopen();
    expect(await again.admit(claim, [anEvent()])).toBe('replayed');
    expect(await again.query({})).toHaveLength(1);
  });

  test('purgeReplay forgets what expired before now, and nothing else', async () => {
    const many = Array.from({ length: 4_500 }, (_, index) =>
      aClaim({ id: `old-${index}`, expires_at: index }),
    );
    await Promise.all(many.map((claim) => store().admit(claim, [])));
    const now = aClaim({ id: 'now', expires_at: 5_000 });
    const later = aClaim({ id: 'later', expires_at: 5_000.5 });
    await store().admit(now, []);
    await store().admit(later, []);
    expect(await store().purgeReplay(5_000)).toBe(4_500);
    expect(await store().purgeReplay(5_000)).toBe(0);
    expect(await store().admit(now, [])).toBe('replayed');
    expect(await store().admit(later, [])).toBe('replayed');
    expect(await store().admit(aClaim({ id: 'old-0' }), [])).toBe('admitted');
    expect(await store().purgeReplay(5_002)).toBe(2);
  });
}

function queries(store: () => Store): void {
  const at = (minute: number): string => isoTime(Date.UTC(2026, 0, 1, 12, minute));

  beforeEach(async () => {
    const [a, b] = [{ tenant_id: 'acme' }, { tenant_id: 'bolt' }];
    await store().append([
      anEvent({ ...a, id: 'e0', event_type: 'ToolCallAuthorized', execution_id: 'x', created_at: at(0) }),
      anEvent({
        ...a,
        id: 'e1',
        event_type: 'WorkflowInvocationFailed',
        execution_id: 'x',
        created_at: at(1),
      }),
      anEvent({ ...b, id: 'e2', event_type: 'ToolCallAuthorized', execution_id: 'y', created_at: at(2) }),
      anEvent({ ...b, id: 'e3', event_type: 'ToolCallRejected', execution_id: 'y', created_at: at(3) }),
      anEvent({
        tenant_id: null,
        id: 'e4',
        event_type: 'ManifestApplied',
        execution_id: null,
        created_at: at(4),
      }),
    ]);
  });

  const answers = async (filter: Parameters<Store['query']>[0]): Promise<string[]> =>
    ids(await store().query(filter));

  const cases = [
    [{}, ['e0', 'e1', 'e2', 'e3', 'e4']],
    [{ event_type: 'ToolCallAuthorized' }, ['e0', 'e2']],
    [{ execution_id: 'y' }, ['e2', 'e3']],
    [{ tenant_id: 'acme' }, ['e0', 'e1']],
    [{ tenant_id: 'acme', event_type: 'ToolCallAuthorized', execution_id: 'x' }, ['e0']],
    [{ tenant_id: 'acme', execution_id: 'y' }, []],
    [{ tenant_id: "' OR 1=1 --" }, []],
    [{ since: at(3) }, ['e3', 'e4']],
    [{ since: '2026-01-01T12:03:00Z' }, ['e3', 'e4']],
    [{ since: '2026-01-01T13:03:00+01:00' }, ['e3', 'e4']],
    [{ since: '2026-01-01T12:03:00.001Z' }, ['e4']],
    [{ since: '2026-01-01', limit: 2 }, ['e3', 'e4']],
    [{ limit: 2 }, ['e3', 'e4']],
    [{ limit: 1, tenant_id: 'acme' }, ['e1']],
    [{ after: 0, limit: 2 }, ['e0', 'e1']],
    [{ after: 0, tenant_id: 'bolt' }, ['e2', 'e3']],
    [{ after: 1_000_000 }, []],
    [{ after: -5, limit: 1 }, ['e0']],
    [{ before: 1_000_000, limit: 2 }, ['e3', 'e4']],
    [{ before: 0 }, []],
    [{ before: -5 }, []],
    [{ after: 0, before: 1_000_000, limit: 2 }, ['e0', 'e1']],
    [{ until: at(1) }, ['e0']],
    [{ until: '2026-01-01T13:01:00+01:00' }, ['e0']],
    [{ since: at(1), until: at(3) }, ['e1', 'e2']],
    [{ since: at(3), until: at(1) }, []],
    // Only the events that say who called what know a tool and an agent.
    [{ tool_name: 'customer.invoice_total' }, ['e0', 'e2', 'e3']],
    [{ tool_name: 'customer.invoice_total', limit: 2 }, ['e2', 'e3']],
    [{ tool_name: 'customer.%' }, []],
    [{ agent_id: 'agent-7', tenant_id: 'bolt' }, ['e2', 'e3']],
    [{ agent_id: 'agent-7', tool_name: 'customer.invoice_total', event_type: 'ToolCallRejected' }, ['e3']],
    [{ agent_id: 'agent-8' }, []],
    [{ event_type: undefined, tenant_id: undefined, limit: undefined }, ['e0', 'e1', 'e2', 'e3', 'e4']],
  ] as const;

  // One store for all of them: to open one takes longer than to ask it everything.
  test('a filter takes what fits all of its terms', async () => {
    for (const [filter, expected] of cases)
      expect.soft(await answers(filter), JSON.stringify(filter)).toEqual(expected);
  });

  test('after is the position of the last event seen', async () => {
    const [, second] = await store().query({});
    expect(await answers({ after: second?.position })).toEqual(['e2', 'e3', 'e4']);
  });

  test('before is the position of the first event seen', async () => {
    const [, , , fourth] = await store().query({});
    expect(await answers({ before: fourth?.position })).toEqual(['e0', 'e1', 'e2']);
    expect(await answers({ before: fourth?.position, limit: 2 })).toEqual(['e1', 'e2']);
    expect(await answers({ before: fourth?.position, after: 0, limit: 2 })).toEqual(['e0', 'e1']);
  });

  test('times are those of the events, in whatever order they were stored', async () => {
    const minutes = [50, 12, 47, 13, 31, 12, 49];
    await store().append(
      minutes.map((minute, index) => anEvent({ id: `late-${index}`, created_at: at(minute) })),
    );
    for (let since = 10; since <= 52; since += 3) {
      for (let until = since; until <= 52; until += 3) {
        const fits = minutes.flatMap((minute, index) =>
          since <= minute && minute < until ? [`late-${index}`] : [],
        );
        const filter = { since: at(since), until: at(until) };
        expect.soft(await answers(filter), JSON.stringify(filter)).toEqual(fits);
        expect.soft(await answers({ ...filter, after: 0 })).toEqual(fits);
        expect.soft(await answers({ ...filter, limit: 1 })).toEqual(fits.slice(-1));
      }
    }
    expect(await answers({ until: at(13), limit: 3 })).toEqual(['e4', 'late-1', 'late-5']);
    expect(await answers({ since: at(49) })).toEqual(['late-0', 'late-6']);
  });

  test('a filter that makes no sense is refused', async () => {
    const senseless = [
      { limit: 0 },
      { limit: -1 },
      { limit: 1.5 },
      { limit: Number.NaN },
      { limit: MAX_QUERY_LIMIT + 1 },
      { since: 'yesterday' },
      { until: 'tomorrow' },
      { after: 0.5 },
      { before: Number.NaN },
    ];
    for (const filter of senseless)
      await expect.soft(store().query(filter), JSON.stringify(filter)).rejects.toEqual(invalid);
  });

  test('a long trail: the newest 100 unless told, any number in order, pages with after', async () => {
    const more = Array.from({ length: 1_700 }, (_, index) => anEvent({ payload: { index } }));
    await Promise.all(more.map((event) => store().append([event])));
    const all = ['e0', 'e1', 'e2', 'e3', 'e4', ...ids(more)];
    expect(await answers({})).toEqual(all.slice(-100));
    expect(await answers({ limit: 1_203 })).toEqual(all.slice(-1_203));
    expect(await answers({ after: 0, limit: 1_203 })).toEqual(all.slice(0, 1_203));

    const paged: string[] = [];
    let after = 0;
    while (true) {
      const page = await store().query({ after, limit: 99 });
      if (page.length === 0) break;
      paged.push(...ids(page));
      after = page.at(-1)?.position ?? Number.NaN;
    }
    expect(paged).toEqual(all);

    const back: string[] = [];
    let before = Number.MAX_SAFE_INTEGER;
    while (true) {
      const page = await store().query({ before, limit: 99 });
      if (page.length === 0) break;
      back.unshift(...ids(page));
      before = page[0]?.position ?? Number.NaN;
      // What is new is not of these pages.
      await store().append([anEvent()]);
    }
    expect(back).toEqual(all);
  });

  test('large events do not shorten an answer', async () => {
    const large = Array.from({ length: 12 }, () => anEvent({ payload: { text: 'x'.repeat(1_000_000) } }));
    await Promise.all(large.map((event) => store().append([event])));
    expect(await answers({ limit: 12 })).toEqual(ids(large));
    expect(ids(await collect(store().scan()))).toEqual(['e0', 'e1', 'e2', 'e3', 'e4', ...ids(large)]);
  });
}

function chains(store: () => Store, reopen: () => Promise<Store>): void {
  test('a scan gives every event in order of seq, its payload verbatim, and verifies', async () => {
    const events = Array.from({ length: 1_501 }, (_, index) => anEvent({ payload: { index } }));
    await Promise.all(events.map((event) => store().append([event])));
    const scanned = await collect(store().scan());
    expect(ids(scanned)).toEqual(ids(events));
    expect(scanned.map((event: ChainedEvent) => event.payload_text)).toEqual(
      events.map((event) => JSON.stringify(event.payload)),
    );
    expect(await verifyChain(store().scan())).toEqual({
      writers: [
        {
          writer: scanned[0]?.writer,
          events: 1_501,
          head_hash: scanned.at(-1)?.hash,
          first_seq: 1,
          last_seq: 1_501,
        },
      ],
      problems: [],
      problems_left_out: 0,
      events: 1_501,
    });
  });

  test('an empty trail verifies', async () => {
    expect(await collect(store().scan())).toEqual([]);
  });

  test('the chain goes on over a restart', async () => {
    await store().append([anEvent(), anEvent()]);
    const again = await reopen();
    await again.append([anEvent()]);
    const [first, second, third] = await collect(again.scan());
    expect(third).toMatchObject({ writer: first?.writer, seq: 3, prev_hash: second?.hash });
    await expectSound(again);
  });

  test('a scan may be left early', async () => {
    await store().append(Array.from({ length: 700 }, () => anEvent()));
    let seen = 0;
    for await (const _ of store().scan()) {
      seen += 1;
      if (seen === 600) break;
    }
    expect(await store().query({ limit: 1 })).toHaveLength(1);
  });
}

function lastGoods(store: () => Store, reopen: () => Promise<Store>): void {
  const row = (key: string, digest: string, data: [string, string, string][] = []) => ({
    key,
    file: `${key}.yaml`,
    digest,
    data,
    manifest: `m-${key}`,
  });

  test('is empty at first', async () => {
    expect(await store().loadLastGood()).toEqual({ rows: [], contents: new Map() });
  });

  test('keeps rows and the contents that they name, over a restart', async () => {
    const set = [
      row('ApiSpec//crm', 'a', [['./crm.openapi.yaml', 'crm.openapi.yaml', 'b']]),
      row('ToolWorkflow//find', 'a'),
    ];
    const contents = new Map([
      ['a', 'kind: ApiSpec\n'],
      ['b', 'openapi: "3.0.3" # é\n'],
    ]);
    await store().saveLastGood({ set, remove: [], contents });
    expect(await (await reopen()).loadLastGood()).toEqual({ rows: set, contents });
  });

  test('changes rows, removes rows, and forgets contents that no row names any more', async () => {
    const first = [row('A', 'a', [['r', 'p', 'b']]), row('B', 'c')];
    await store().saveLastGood({
      set: first,
      remove: [],
      contents: new Map([
        ['a', '1'],
        ['b', '2'],
        ['c', '3'],
      ]),
    });
    await store().saveLastGood({ set: [row('A', 'd')], remove: ['B'], contents: new Map([['d', '4']]) });
    expect(await store().loadLastGood()).toEqual({ rows: [row('A', 'd')], contents: new Map([['d', '4']]) });
  });

  test('is beside the chain of events, not in it', async () => {
    await store().append([anEvent()]);
    await store().saveLastGood({ set: [row('A', 'a')], remove: [], contents: new Map([['a', '1']]) });
    await store().append([anEvent()]);
    await expectSound(store());
    expect(await store().query({})).toHaveLength(2);
  });
}

function leases(store: () => Store, reopen: () => Promise<Store>): void {
  const lease = (more: Partial<LeaseNote> = {}): LeaseNote => ({
    lease_id: `database/creds/reader/${newId()}`,
    namespace: null,
    holder: 'run-1',
    in_use_until: 2_000,
    ...more,
  });

  test('a lease in use is nobody else’s; past its time it is abandoned, as it was noted', async () => {
    const one = lease({ namespace: 'tenant-acme' });
    await store().leases.note(one);
    expect(await store().leases.abandoned('run-1', 2_000)).toEqual([]);
    expect(await store().leases.abandoned('run-1', 2_001)).toEqual([one]);
  });

  test('a lease is kept over a restart until it is forgotten', async () => {
    const [one, two, three] = [lease(), lease(), lease()];
    for (const each of [one, two, three]) await store().leases.note(each);
    const again = await reopen();
    await again.leases.forget([one.lease_id, three.lease_id]);
    await again.leases.forget([one.lease_id]);
    expect(await again.leases.abandoned('run-2', 3_000)).toEqual([two]);
  });
}

function sessions(store: () => Store, reopen: () => Promise<Store>): void {
  const session = (part: Partial<Session> = {}): Session => ({
    execution_id: newId(),
    agent_id: 'agent-7',
    tenant_id: 'acme',
    security_context: 'billing-read',
    public_key: 'ERERERERERERERERERERERERERERERERERERERERERE',
    token_digest: 'ab'.repeat(32),
    allowed_tool_patterns: ['customer.*'],
    created_at: 1_000,
    expires_at: 9_000,
    revoked_at: null,
    ...part,
  });

  test('a saved session comes back as it was, over a restart', async () => {
    const [one, two] = [session(), session({ tenant_id: null, allowed_tool_patterns: null })];
    expect(await store().sessions.save(one, 2_000, [anEvent()])).toBe('created');
    expect(await store().sessions.save(two, 2_000, [])).toBe('created');
    expect(await store().sessions.get(one.execution_id)).toEqual(one);
    const again = await reopen();
    expect(await again.sessions.get(two.execution_id)).toEqual(two);
    expect(await again.sessions.get('another')).toBeNull();
    expect(await again.query({})).toHaveLength(1);
    await expectSound(again);
  });

  test('an active session may be replaced', async () => {
    const one = session();
    await store().sessions.save(one, 2_000, []);
    const other = { ...one, agent_id: 'agent-8', allowed_tool_patterns: [], expires_at: 10_000 };
    expect(await store().sessions.save(other, 3_000, [anEvent()])).toBe('replaced');
    expect(await store().sessions.get(one.execution_id)).toEqual(other);
  });

  test('a revoked session is never active again, and neither is an expired one', async () => {
    const [one, two] = [session(), session({ expires_at: 3_000 })];
    await store().sessions.save(one, 2_000, []);
    await store().sessions.save(two, 2_000, []);
    expect(await store().sessions.revoke(one.execution_id, 4_000, [anEvent()])).toBe(true);
    expect(await store().sessions.get(one.execution_id)).toEqual({ ...one, revoked_at: 4_000 });
    const again = await reopen();
    expect(await again.sessions.save({ ...one, expires_at: 99_000 }, 4_000, [anEvent()])).toBe('ended');
    expect(await again.sessions.save({ ...two, expires_at: 99_000 }, 3_000, [anEvent()])).toBe('ended');
    // What did not happen is not in the trail.
    expect(await again.query({})).toHaveLength(1);
    expect((await again.sessions.get(one.execution_id))?.revoked_at).toBe(4_000);
  });

  test('a session of another tenant, or of none, is never replaced, whatever its state', async () => {
    const [one, two] = [session(), session({ tenant_id: null })];
    await store().sessions.save(one, 2_000, []);
    await store().sessions.save(two, 2_000, []);
    const attempts = [
      [one, null],
      [one, 'bolt'],
      [two, 'acme'],
    ] as const;
    for (const [own, tenant_id] of attempts) {
      const taken = { ...own, tenant_id, agent_id: 'thief', expires_at: 99_000 };
      for (const now of [3_000, 9_000])
        expect(await store().sessions.save(taken, now, [anEvent()])).toBe('conflict');
      expect(await store().sessions.get(own.execution_id)).toEqual(own);
    }
    expect(await store().query({})).toEqual([]);
  });

  test('of two tenants that take one id at one moment one gets it, and only its event is written', async () => {
    for (let round = 0; round < 10; round += 1) {
      const execution_id = newId();
      const both = ['acme', 'bolt'].map((tenant_id) => session({ execution_id, tenant_id }));
      const events = both.map(() => anEvent());
      const saved = await Promise.all(
        both.map((one, at) => store().sessions.save(one, 2_000, [events[at]!])),
      );
      expect([...saved].sort()).toEqual(['conflict', 'created']);
      const first = saved.indexOf('created');
      expect(await store().sessions.get(execution_id)).toEqual(both[first]);
      const [newest] = await store().query({ limit: 1 });
      expect(newest).toMatchObject({ id: events[first]!.id });
    }
    expect(await store().query({})).toHaveLength(10);
  });

  test('only an active session is revoked', async () => {
    const one = session({ expires_at: 3_000 });
    await store().sessions.save(one, 2_000, []);
    expect(await store().sessions.revoke(one.execution_id, 3_000, [anEvent()])).toBe(false);
    expect(await store().sessions.revoke('another', 2_000, [anEvent()])).toBe(false);
    expect(await store().query({})).toEqual([]);
    const two = session();
    await store().sessions.save(two, 2_000, []);
    const both = [1, 2].map(() => store().sessions.revoke(two.execution_id, 2_500, [anEvent()]));
    expect((await Promise.all(both)).sort()).toEqual([false, true]);
    expect(await store().query({})).toHaveLength(1);
  });

  test('a session whose event is refused is not there', async () => {
    const [one, event] = [session(), anEvent()];
    await store().append([event]);
    await expect(store().sessions.save(one, 2_000, [event])).rejects.toEqual(unavailable);
    expect(await store().sessions.get(one.execution_id)).toBeNull();
  });

  test('a list has the newest first, by tenant, page by page', async () => {
    const all = [1, 2, 2, 3].map((created_at, index) =>
      session({ created_at, execution_id: `x${index}`, tenant_id: index === 1 ? null : 'acme' }),
    );
    for (const one of all) await store().sessions.save(one, 0, []);
    await store().sessions.revoke('x3', 5_000, []);
    const ids = async (filter: SessionFilter) =>
      (await store().sessions.list(filter)).map(({ execution_id }) => execution_id);
    expect(await ids({})).toEqual(['x3', 'x2', 'x1', 'x0']);
    expect(await ids({ limit: 2 })).toEqual(['x3', 'x2']);
    expect(await ids({ after: all[2] })).toEqual(['x1', 'x0']);
    expect(await ids({ tenant_id: 'acme' })).toEqual(['x3', 'x2', 'x0']);
    expect(await ids({ tenant_id: null })).toEqual(['x1']);
    expect(await ids({ active_at: 6_000 })).toEqual(['x2', 'x1', 'x0']);
    expect(await ids({ active_at: 9_000 })).toEqual([]);
  });
}

function trims(store: () => Store, reopen: () => Promise<Store>, age: () => Promise<void>): void {
  test('nothing that is young is forgotten', async () => {
    await store().append([anEvent({ created_at: isoTime(Date.now()) })]);
    expect(await store().trim(Date.now() - 86_400_000)).toBe(0);
    expect(await store().query({})).toHaveLength(1);
  });

  test('what is old is forgotten, the trail says so, and its chains verify', async () => {
    await store().append(Array.from({ length: 1_200 }, () => anEvent({ created_at: isoTime(1_000) })));
    const head = (await store().query({ limit: 1 }))[0]!;
    await age();
    expect(await store().trim(Date.now() - 60_000)).toBe(1_200);
    const [said, ...more] = await store().query({});
    expect(more).toEqual([]);
    expect(said).toMatchObject({
      event_type: 'AuditTrimmed',
      payload: { chains: [{ writer: head.writer, seq: head.seq, hash: head.hash }] },
    });
    const again = await reopen();
    await again.append([anEvent()]);
    await expectSound(again);
    const gone = { writer: head.writer, seq: head.seq, hash: head.hash };
    expect((await verifyChain(again.scan(), [gone])).problems).toEqual([]);
  });
}

function presences(store: () => Store): void {
  test('a gateway that has said what it is, is listed so', async () => {
    await store().announce({ address: 'http://127.0.0.1:1', revision: null });
    await store().announce({ address: 'http://127.0.0.1:1', revision: 'rev-1' });
    const [one, ...more] = await store().replicas();
    expect(more).toEqual([]);
    expect(one).toEqual({
      instance: expect.any(String),
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      address: 'http://127.0.0.1:1',
      revision: 'rev-1',
      started_at: expect.stringMatching(/^\d{4}-.*Z$/),
      seen_at: expect.stringMatching(/^\d{4}-.*Z$/),
    });
  });
}

function closes(store: () => Store): void {
  test('close writes what waits, and after it everything is refused', async () => {
    const waiting = store().append([anEvent()]);
    await store().close();
    await waiting;
    await store().close();
    await expect(store().append([anEvent()])).rejects.toEqual(unavailable);
    await expect(store().admit(aClaim(), [])).rejects.toEqual(unavailable);
    await expect(store().purgeReplay(0)).rejects.toEqual(unavailable);
    await expect(store().saveLastGood({ set: [], remove: [], contents: new Map() })).rejects.toEqual(
      unavailable,
    );
    await expect(store().loadLastGood()).rejects.toEqual(unavailable);
    await expect(store().sessions.get('x')).rejects.toEqual(unavailable);
    await expect(store().sessions.revoke('x', 0, [])).rejects.toEqual(unavailable);
    await expect(store().trim(1e13)).rejects.toEqual(unavailable);
    await expect(store().query({})).rejects.toEqual(unavailable);
    await expect(collect(store().scan())).rejects.toEqual(unavailable);
  });
}

export async function expectSound(store: Pick<Store, 'scan'>): Promise<void> {
  expect((await verifyChain(store.scan())).problems).toEqual([]);
}

function aClaim(part: { id?: string; expires_at?: number } = {}): { id: string; expires_at: number } {
  return { id: newId(), expires_at: Date.UTC(2030, 0, 1), ...part };
}

function ids(events: readonly (AuditEvent | StoredEvent)[]): string[] {
  return events.map((event) => event.id);
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  const starts = items.flatMap((_, index) => (index % size === 0 ? [index] : []));
  return starts.map((start) => items.slice(start, start + size));
}
