/** Variables that have no value: what cannot do without one says which it is, and which failure left it so. */
import { GatewayError } from '../errors.ts';
import { retold } from './run.ts';

/** Why each has no value, with the failure that left it so; null: nothing failed. */
export type Gaps = Map<string, GatewayError | null>;

/** The error of what needs them: it happened where the first failure did. null: there are none. */
export function gapError(gaps: Gaps, details: Readonly<Record<string, unknown>> = {}): GatewayError | null {
  if (gaps.size === 0) return null;
  const why = [...gaps.keys()].join('; ');
  const first = [...gaps.values()].find((failure) => failure !== null);
  if (first === undefined) return new GatewayError('UPSTREAM_FAILED', why, { details });
  return retold(first, why, { ...details, ...first.details });
}

/** What `render` gives. Where it throws, the gaps that it has read are the reason, if there are any. */
export function rendered<T>(gaps: Gaps, render: () => T): T {
  gaps.clear();
  try {
    return render();
  } catch (error) {
    throw gapError(gaps) ?? error;
  }
}
