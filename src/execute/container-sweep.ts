/** Removes containers that nobody waits for any more: those of killed gateways, and those an engine kept from us. */
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { LABELS, NAME_PREFIX } from './container-create.ts';
import type { Engine } from './container-engine.ts';
import { removeContainer } from './container-run.ts';
import { isDead } from './instance.ts';

/** After its deadline a living gateway has removed its container, however slow the engine. */
const GRACE_MS = 30_000;

export interface SweepDeps {
  readonly instance: string;
  /** Names of containers that this process is at. */
  readonly active: ReadonlySet<string>;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Of this instance all that it is not at; of dead ones all; of instances that cannot be seen from here (other
 * machines and containers that share the engine) those past their deadline. Resolves to how many were removed.
 */
export async function sweep(engine: Engine, { instance, active, clock, log }: SweepDeps): Promise<number> {
  const found = await engine.api.listContainers({ all: true, filters: { label: [LABELS.instance] } });
  const stale = found.filter(({ Names, Labels }) => {
    const name = (Names[0] ?? '').replace(/^\//, '');
    // An image may bring labels of its own.
    if (!name.startsWith(NAME_PREFIX) || active.has(name)) return false;
    const owner = Labels[LABELS.instance] ?? '';
    const deadline = Number(Labels[LABELS.deadline] ?? 0);
    return owner === instance || isDead(owner) || clock.now() > deadline + GRACE_MS;
  });
  const results = await Promise.allSettled(
    stale.map(({ Id }) => removeContainer(engine.api.getContainer(Id))),
  );
  const count = results.filter((one) => one.status === 'fulfilled' && one.value).length;
  if (count > 0) log.info({ count }, 'removed containers that were left behind');
  return count;
}
