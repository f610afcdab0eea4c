/** The store that a URL names: `sqlite://` and a path, or `postgres://`. */
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { openPostgresReader, openPostgresStore } from './postgres.ts';
import { openSqliteReader, openSqliteStore } from './sqlite.ts';
import type { EventReader, Store } from './store.ts';
import { sqlitePath } from './url.ts';

export interface OpenOptions {
  /** `database.url` of the process configuration. */
  readonly url: string;
  readonly clock: Clock;
  readonly log?: Log;
}

/** For writing; rejects with StoreOpenError. */
export function openStore({ url, ...options }: OpenOptions): Promise<Store> {
  const path = sqlitePath(url);
  return path === null ? openPostgresStore({ url, ...options }) : openSqliteStore({ path, ...options });
}

/** For reading, also beside a running gateway; rejects with StoreOpenError. */
export function openReader({ url }: Pick<OpenOptions, 'url'>): Promise<EventReader> {
  const path = sqlitePath(url);
  return path === null ? openPostgresReader({ url }) : openSqliteReader({ path });
}
