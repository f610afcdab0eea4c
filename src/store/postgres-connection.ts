/** Connections to Postgres, and what their errors mean. The only file that knows the driver. */
import pg from 'pg';

/** Milliseconds until a connection that cannot be made is given up. */
const CONNECT_MS = 5_000;
/** Milliseconds after which the server ends a statement by itself. */
const STATEMENT_MS = 10_000;
/** Milliseconds without an answer after which the connection is given up: the server or the way to it is gone. */
const ANSWER_MS = 15_000;
/** Milliseconds that a statement waits for a lock. */
const LOCK_MS = 5_000;
/** Connections for all but commits: queries of operators, sessions, upkeep. */
const POOL_SIZE = 4;
const POOL_IDLE_MS = 30_000;

export type Query = pg.Pool | pg.ClientBase;
export type Connection = pg.Client;
export type Pool = pg.Pool;

/** Whole numbers of 64 bits are counts, positions and times here, all of them exact as numbers. */
const INT8_OID = 20;
const types: pg.CustomTypesConfig = {
  getTypeParser: (oid, format) => (oid === INT8_OID ? Number : pg.types.getTypeParser(oid, format)) as never,
};

function settings(url: string): pg.ClientConfig {
  return {
    connectionString: url,
    application_name: 'seal-gateway',
    connectionTimeoutMillis: CONNECT_MS,
    statement_timeout: STATEMENT_MS,
    lock_timeout: LOCK_MS,
    idle_in_transaction_session_timeout: STATEMENT_MS,
    query_timeout: ANSWER_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    types,
  };
}

/** One connection of its own. Rejects when it cannot be made. */
export async function connect(url: string, onEnd: (error: Error) => void): Promise<Connection> {
  const client = new pg.Client(settings(url));
  // Without a listener the end of an idle connection would end the process.
  client.on('error', onEnd);
  try {
    await client.connect();
    await makeDurable(client);
    return client;
  } catch (error) {
    giveUp(client);
    throw error;
  }
}

export function createPool(url: string): Pool {
  const pool = new pg.Pool({ ...settings(url), max: POOL_SIZE, idleTimeoutMillis: POOL_IDLE_MS });
  // Of idle connections: the next query makes a new one.
  pool.on('error', () => {});
  pool.on('connect', (client) => {
    client.on('error', () => {});
  });
  return pool;
}

/** A database whose default is to answer before a commit is on the disk would lose what was acknowledged. */
async function makeDurable(client: Connection): Promise<void> {
  await client.query(
    `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`,
  );
}

/** Closes it without a word to the server, which may not hear it. */
export function giveUp(client: Connection): void {
  client.end().catch(() => {});
  const { stream } =
    (client as unknown as { connection?: { stream?: { destroy(): void } } }).connection ?? {};
  stream?.destroy();
}

/** Runs `use` in one transaction on one connection of the pool. */
export async function transaction<T>(pool: Pool, use: (client: pg.ClientBase) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let failed: Error | undefined;
  try {
    await client.query(
      `BEGIN; SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'`,
    );
    const result = await use(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    failed = error as Error;
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  } finally {
    // A connection that failed is not used again: who knows what it is in the midst of.
    client.release(failed);
  }
}

export type Failure =
  /** The chain has another writer, or was closed. */
  | 'fenced'
  /** Replay ids are taken. */
  | 'taken'
  /** Limits are used up. */
  | 'limited'
  /** What was to be written cannot be: not the database's fault. */
  | 'unit'
  /** Nothing was done, and the same may go well the next time. */
  | 'again'
  /** Nothing was done: no space, no right, no such table. */
  | 'refused'
  /** The connection is gone, and with it the answer: it may have been done. */
  | 'lost';

const BY_STATE: Readonly<Record<string, Failure>> = { SG001: 'fenced', SG002: 'taken', SG003: 'limited' };
/** Classes of SQLSTATE: data exception, integrity violation, program limit. */
const OF_UNIT = new Set(['22', '23', '54']);
/** Serialization failure, deadlock, lock not available, statement timeout or cancel. */
const AGAIN = new Set(['40001', '40P01', '55P03', '57014']);
/** Connections, shutdown; a server that has become a standby (25006) is to be left for another. */
const GONE = /^(?:08|57P|25006)/;

export function failureOf(error: unknown): Failure {
  if (error instanceof TypeError || error instanceof RangeError) return 'unit';
  if (!(error instanceof pg.DatabaseError) || error.code === undefined) return 'lost';
  if (error.severity === 'FATAL' || error.severity === 'PANIC' || GONE.test(error.code)) return 'lost';
  const known = BY_STATE[error.code];
  if (known !== undefined) return known;
  if (OF_UNIT.has(error.code.slice(0, 2))) return 'unit';
  return AGAIN.has(error.code) ? 'again' : 'refused';
}

/** What a failure of gateway_commit says beside its code: JSON. */
export function detailOf(error: unknown): string {
  return error instanceof pg.DatabaseError ? (error.detail ?? 'null') : 'null';
}

/** Of a constraint that says no: for messages. */
export function stateOf(error: unknown): string | null {
  return error instanceof pg.DatabaseError ? (error.code ?? null) : null;
}
