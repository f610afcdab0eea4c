import { afterAll, beforeAll } from 'vitest';
import { type PostgresServer, startPostgres } from '../../examples/cluster/postgres.ts';
import { systemClock } from '../../src/clock.ts';
import { openPostgresStore } from '../../src/store/postgres.ts';
import { storeConformance } from './conformance.ts';
import { createDatabases, type Databases, inDatabase, makeOld } from './databases.ts';

let server: PostgresServer;
let databases: Databases;

beforeAll(async () => {
  server = await startPostgres();
  databases = await createDatabases(server);
});
afterAll(async () => {
  await databases?.close();
  await server?.close();
});

storeConformance('postgres', async () => {
  const url = await databases.fresh();
  const open = () => openPostgresStore({ url, clock: systemClock });
  let store = await open();
  return {
    store,
    async reopen() {
      await store.close();
      store = await open();
      return store;
    },
    age: () => inDatabase(url, makeOld),
    async dispose() {
      await store.close();
    },
  };
});
