/** `database.url` of the process configuration. */

/** The file of a SQLite URL; null: it is none. */
export function sqlitePath(url: string): string | null {
  return url.startsWith('sqlite://') ? url.slice('sqlite://'.length) : null;
}

/** The store of a URL without user and password: for messages. */
export function placeOf(url: string): string {
  const path = sqlitePath(url);
  if (path !== null) return path;
  const parsed = URL.parse(url);
  return parsed === null ? 'the Postgres database' : `postgres://${parsed.host}${parsed.pathname}`;
}
