/** How an example that is run tells what it does, step by step, and fails when a step does not come out as it says. */
import { isDeepStrictEqual } from 'node:util';
import type { GatewayProcess } from './gateway.ts';

let steps = 0;

export function heading(text: string): void {
  steps += 1;
  console.log(`\n${steps}. ${text}`);
}

export function say(text: string): void {
  console.log(`   ${text}`);
}

/** Prints what came. Throws when it is not what should have come. */
export function expect(what: string, actual: unknown, expected: unknown): void {
  const good = isDeepStrictEqual(actual, expected);
  say(`${good ? '✓' : '✗'} ${what}: ${JSON.stringify(actual)}`);
  if (!good) throw new Error(`${what}: expected ${JSON.stringify(expected)}`);
}

interface Walked {
  startGateway(): Promise<GatewayProcess>;
  close(): Promise<void>;
}

/** Starts the example's gateway, walks through the steps, ends both. Exit code 1 when a step fails. */
export async function walk<E extends Walked>(
  example: E,
  walkThrough: (example: E, gateway: GatewayProcess) => Promise<void>,
): Promise<void> {
  let gateway: GatewayProcess | null = null;
  try {
    gateway = await example.startGateway();
    await walkThrough(example, gateway);
  } catch (error) {
    console.error(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`);
    console.error(gateway?.log().split('\n').slice(-10).join('\n') ?? '');
    process.exitCode = 1;
  } finally {
    const code = await gateway?.stop();
    if (code !== undefined && code !== 0) process.exitCode = 1;
    await example.close();
  }
}
