/** A value that no print, copy or serialisation shows. */
import { inspect } from 'node:util';
import type { Mask } from './mask.ts';

const MASK = '[secret]';

// The text lives beside the object, not in it: no property, private field or structured clone leads to it.
const texts = new WeakMap<Secret, string>();

/** Text that prints as `[secret]` in JSON, templates, logs and inspections. Only {@link reveal} opens it. */
export class Secret {
  constructor(text: string) {
    texts.set(this, text);
    Object.freeze(this);
  }

  toString(): string {
    return MASK;
  }

  toJSON(): string {
    return MASK;
  }

  [Symbol.toPrimitive](): string {
    return MASK;
  }

  [inspect.custom](): string {
    return MASK;
  }
}

/** The text itself. Call it only where the upstream request or the container is made. */
export function reveal(secret: Secret): string {
  const text = texts.get(secret);
  if (text === undefined) throw new TypeError('not a Secret');
  return text;
}

/** What a credential adds to a request: opened when the request goes out, never before. */
export interface RequestSecrets {
  /** Names are lower case. */
  readonly headers: Readonly<Record<string, Secret>>;
  readonly query: Readonly<Record<string, Secret>>;
  /** Masks the secrets of the call in what comes back; absent: there are none. */
  readonly mask?: Mask;
}

/** What a credential adds to a container: opened when the container is made, never before. */
export interface ContainerSecrets {
  readonly env: Readonly<Record<string, Secret>>;
  /** Absolute paths in the container. */
  readonly files: readonly { readonly path: string; readonly content: Secret }[];
  /** null: nothing of it is written there. */
  readonly stdin: Secret | null;
  /** Masks the secrets of the call in what the command prints; `stream` for output in pieces. */
  readonly mask?: Mask;
}
