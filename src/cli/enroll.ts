/** `seal-gateway enroll`: makes a token by which one workload gets one session. */
import { hash } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { isoTime, systemClock } from '../clock.ts';
import { randomToken } from '../ids.ts';
import { readEnrollments } from '../invoke/enrollments.ts';
import { ENROLLMENT_PREFIX } from '../invoke/workload.ts';
import { CliError, type OutputOptions, print } from './output.ts';
import type { CliDeps } from './program.ts';

interface EnrollOptions extends OutputOptions {
  readonly file: string;
  readonly workload: string;
  readonly context: string[];
  readonly tenant?: string;
  readonly ttl: string;
}

export function addEnroll(program: Command, { console }: CliDeps): void {
  program
    .command('enroll')
    .description('Make a token by which a workload gets a session, once (attestation.verifiers)')
    .requiredOption('--file <file>', "the enrollment_token verifier's file; made when it is not there")
    .requiredOption('--workload <id>', 'workload_id that it is for')
    .requiredOption('--context <pattern...>', 'security contexts that it may ask for')
    .option('--tenant <name>', 'tenant of its session')
    .option('--ttl <seconds>', 'seconds until it expires, a week at most', '3600')
    .action((options: EnrollOptions) => {
      const ttl = Number(options.ttl);
      if (!Number.isInteger(ttl) || ttl < 1 || ttl > 604_800)
        throw new CliError('--ttl: a whole number from 1 to 604800');
      const now = systemClock.now();
      const token = ENROLLMENT_PREFIX + randomToken(32);
      const entry = {
        workload_id: options.workload,
        token_sha256: hash('sha256', token, 'hex'),
        security_contexts: options.context,
        ...(options.tenant !== undefined && { tenant: options.tenant }),
        expires_at: isoTime(now + ttl * 1000),
      };
      append(options.file, entry, now);
      const { expires_at } = entry;
      const text = `${token}\n\nGood once, for ${options.workload}, until ${expires_at}. It is shown now and never again: ${options.file} holds its hash.`;
      print(console, options, { enrollment_token: token, workload_id: options.workload, expires_at }, text);
    });
}

/** What has expired goes; the file is replaced as a whole, so that a gateway never reads half of it. */
function append(file: string, entry: object, now: number): void {
  const text = readText(file);
  const kept = JSON.parse(text) as readonly { readonly expires_at: string }[];
  const living = kept.filter(({ expires_at }) => Date.parse(expires_at) > now);
  const next = `${file}.${process.pid}.new`;
  try {
    writeFileSync(next, `${JSON.stringify([...living, entry], null, 2)}\n`, { mode: 0o600 });
    renameSync(next, file);
  } catch (error) {
    throw new CliError(`${file} cannot be written: ${(error as Error).message}`);
  }
}

function readText(file: string): string {
  try {
    const text = readFileSync(file, 'utf8');
    readEnrollments(text);
    return text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '[]';
    throw new CliError(`${file} is no file of enrollment tokens: ${(error as Error).message}`);
  }
}
