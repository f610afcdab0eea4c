/**
 * The writer thread of the SQLite store: a slow disk blocks it and not the event loop. It commits all that
 * arrived while it committed before (group commit).
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { closeCleanly, type FileOptions, openForWriting } from './sqlite-file.ts';
import { createLedger, type Ledger } from './sqlite-ledger.ts';
import { CLOSE, decodeUnits, type Message, type Unit, type WriterReply } from './sqlite-units.ts';
import { StoreOpenError } from './store.ts';

export interface WriterData extends FileOptions {
  readonly path: string;
}

/** Bounds how long one transaction keeps the others waiting. */
const MAX_UNITS = 1_000;

if (parentPort !== null) serve(parentPort, workerData as WriterData);

type Port = NonNullable<typeof parentPort>;

function serve(port: Port, data: WriterData): void {
  const reply = (message: WriterReply): void => port.postMessage(message);
  let opened: ReturnType<typeof openForWriting>;
  try {
    opened = openForWriting(data.path, data);
  } catch (error) {
    const reason = error instanceof StoreOpenError ? error.reason : 'unavailable';
    reply({ kind: 'failed', reason, message: messageOf(error) });
    return;
  }
  const ledger = createLedger(opened.db, opened.writer);
  port.on('message', (first: Message | typeof CLOSE) => {
    let next: Message | typeof CLOSE | undefined = first;
    while (next !== undefined && next !== CLOSE) {
      const units = decodeUnits(next);
      next = receive(port);
      while (next !== undefined && next !== CLOSE && units.length < MAX_UNITS) {
        units.push(...decodeUnits(next));
        next = receive(port);
      }
      reply(commit(ledger, units));
    }
    if (next !== CLOSE) return;
    let failure: string | null = null;
    try {
      closeCleanly(opened.db);
    } catch (error) {
      failure = messageOf(error);
    }
    reply({ kind: 'closed', message: failure });
    port.close();
  });
  reply({ kind: 'ready', warnings: opened.warnings });
}

function receive(port: Port): Message | typeof CLOSE | undefined {
  return receiveMessageOnPort(port)?.message as Message | typeof CLOSE | undefined;
}

function commit(ledger: Ledger, units: readonly Unit[]): WriterReply {
  try {
    return { kind: 'done', outcomes: ledger.commit(units) };
  } catch (error) {
    return { kind: 'refused', count: units.length, message: messageOf(error) };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
