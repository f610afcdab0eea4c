import { expect, test } from 'vitest';
import { type Chaos, Differs, runChaos, shrink } from './chaos/run.ts';

const STEPS = 250;
/** Each run of the suite tries other edits; a run that failed is made again with `SEAL_CHAOS_SEED=<number>`. */
const SEED = Number(process.env.SEAL_CHAOS_SEED ?? Date.now() % 1_000_000);

test.each(['keep-last-good', 'atomic'] as const)(
  `${STEPS} random edits leave in force what the rules say, after each of them: %s, seed ${SEED}`,
  { timeout: 120_000 },
  async (policy) => {
    const steps = Array.from({ length: STEPS }, (_, step) => step);
    const chaos: Chaos = { seed: SEED, steps, policy, watch: false };
    try {
      const counts = await runChaos(chaos);
      expect(counts.restart).toBeGreaterThan(0);
    } catch (error) {
      if (!(error instanceof Differs)) throw error;
      const { message, done } = await shrink(chaos, error, 30_000);
      expect.fail(`SEAL_CHAOS_SEED=${SEED}\n${done.join('\n')}\n${message}`);
    }
  },
);
