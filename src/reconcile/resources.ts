/** What is in force, for those who look: the states of status with the specs behind them. */
import { keyOf } from '../manifest/manifest.ts';
import type { AppliedSet } from './compile.ts';
import type { AppliedResource, ManifestState } from './status.ts';

export function resourcesOf(states: readonly ManifestState[], applied: AppliedSet): AppliedResource[] {
  return states.map((state) => ({ state, spec: applied.get(keyOf(state))?.manifest.spec ?? null }));
}
