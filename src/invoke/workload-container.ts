/**
 * A workload proves that it runs in a container: it writes its public key into a file there, and the gateway reads
 * that file through the engine. An id alone proves nothing, for anybody can name one; an address on the network can be
 * taken by a neighbour. Who can write into a container's own file system is in it, or is root on the machine anyway.
 * (docs/guides/sessions.md, "What a container's label proves")
 */

import type { GatewayError } from '../errors.ts';
import type { ContainerEvidence, LookAtContainer } from '../execute/container-evidence.ts';
import { readPublicKey } from './session-request.ts';
import {
  CONTAINER_PREFIX,
  compileRules,
  type TokenRule,
  unproven,
  type WorkloadVerifier,
} from './workload.ts';

export interface ContainerVerifierOptions {
  readonly name: string;
  /** Key of the label whose value says which workload the container is. */
  readonly label: string;
  /** Where the container writes its public key; absolute, without dot segments. */
  readonly container_file: string;
  /** `subject` is a pattern on the label's value. */
  readonly rules: readonly TokenRule[];
  readonly look: LookAtContainer;
}

/** Hex digits of a container's id: as many as its host name has by default, up to all. */
const ID = /^[0-9a-f]{12,64}$/;

export function containerVerifier(options: ContainerVerifierOptions): WorkloadVerifier {
  const { name, label, container_file, look } = options;
  const ruleFor = compileRules(options.rules, (value) => value);
  return {
    async verify({ workload_id, proof, public_key }) {
      if (!proof.startsWith(CONTAINER_PREFIX)) return null;
      const id = proof.slice(CONTAINER_PREFIX.length);
      if (!ID.test(id)) throw unproven('container: expected 12 to 64 hex digits of its id');
      const evidence = await look(id, container_file);
      const value = labelOf(evidence, { id, label, container_file, public_key });
      const claimed = workload_id ?? value;
      const rule = ruleFor(value, claimed);
      if (rule === null) throw refused('no rule allows this workload_id to a container with its label');
      const { tenant_id, security_contexts } = rule;
      return { verifier: name, workload_id: claimed, tenant_id, security_contexts, once: null };
    },
  };
}

interface Expected extends Pick<ContainerVerifierOptions, 'label' | 'container_file'> {
  readonly id: string;
  readonly public_key: string;
}

/** The value of the label. Throws WORKLOAD_VERIFICATION_FAILED unless the one who asks is in that container. */
function labelOf(evidence: ContainerEvidence | null, expected: Expected): string {
  const { id, label, container_file, public_key } = expected;
  // The engine takes names too, and a name may look like the beginning of an id.
  if (evidence === null || !evidence.id.startsWith(id)) throw refused('no container of this id runs');
  const mount = evidence.mounts.find((place) => isWithin(container_file, place));
  if (mount !== undefined)
    throw refused(`${container_file} lies in the mount ${mount}, which others may share`);
  if (evidence.file === null) throw refused(`${container_file} cannot be read in the container`);
  if (!holds(evidence.file, public_key)) throw refused(`${container_file} holds another public key`);
  if (Object.hasOwn(evidence.image_labels, label))
    throw refused(`the image brings the label ${label}; it counts only when it is given to the container`);
  const value = Object.hasOwn(evidence.labels, label) ? evidence.labels[label] : undefined;
  if (value === undefined || value === '') throw refused(`the container has no label ${label}`);
  return value;
}

/** One answer to all of them, or the workload would learn which containers there are; the audit trail has the reason. */
function refused(reason: string): GatewayError {
  return unproven('container: it does not prove this workload; the audit trail says why', new Error(reason));
}

function isWithin(path: string, place: string): boolean {
  const directory = place.replace(/\/+$/, '');
  return path === directory || path.startsWith(`${directory}/`);
}

function holds(file: string, public_key: string): boolean {
  try {
    return readPublicKey(file.trim(), 'file') === public_key;
  } catch {
    return false;
  }
}
