/** Run by the kill test: appends for ever and prints the id of each acknowledged event, claims included. */
import { systemClock } from '../../src/clock.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { anEvent } from './events.ts';

const store = await openSqliteStore({ path: process.argv[2] ?? '', clock: systemClock });

async function caller(): Promise<never> {
  while (true) {
    const [first, second] = [anEvent(), anEvent()];
    await store.append([first, second]);
    process.stdout.write(`event ${first.id}\nevent ${second.id}\n`);
    const admitted = anEvent();
    await store.admit({ id: admitted.id, expires_at: 1e13 }, [admitted]);
    process.stdout.write(`event ${admitted.id}\nclaim ${admitted.id}\n`);
  }
}

await Promise.all(Array.from({ length: 8 }, caller));
