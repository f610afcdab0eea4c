/** `seal-gateway token`: mints a security token with a development issuer's key. */
import type { Command } from 'commander';
import { importJWK, SignJWT } from 'jose';
import { systemClock } from '../clock.ts';
import { newId } from '../ids.ts';
import { ISSUER_KEY, readKey } from './keys.ts';
import { CliError, type OutputOptions, print } from './output.ts';
import type { CliDeps } from './program.ts';

export interface TokenOptions {
  readonly issuerKey: string;
  readonly issuer: string;
  readonly audience: string;
  readonly subject: string;
  readonly context?: string;
  readonly tenant?: string;
  readonly tool?: string[];
  readonly executionId?: string;
  readonly ttl: string;
}

/** The options by which `token`, `call` and `tools` mint. */
export function tokenOptions(command: Command): Command {
  return command
    .option('--issuer-key <file>', 'private key of the development issuer', ISSUER_KEY)
    .option('--issuer <iss>', 'iss claim', 'https://issuer.dev.invalid')
    .option('--audience <aud>', 'aud claim', 'seal-gateway')
    .option('--subject <sub>', 'sub claim: who calls', 'developer')
    .option('--context <name>', 'security context; without it the default of the issuer')
    .option('--tenant <name>', 'tenant_id claim')
    .option('--tool <pattern...>', 'narrow the token to these tool patterns (scp claim as a list)')
    .option('--execution-id <id>', 'exec_id claim')
    .option('--ttl <seconds>', 'seconds until the token expires, 86400 at most', '300');
}

/** A signed security token, good for one call. */
export async function mint(options: TokenOptions): Promise<string> {
  const ttl = Number(options.ttl);
  if (!Number.isInteger(ttl) || ttl < 1 || ttl > 86_400)
    throw new CliError('--ttl: a whole number from 1 to 86400');
  const key = readKey(options.issuerKey, 'issuer key');
  const now = Math.floor(systemClock.now() / 1000);
  const scope = options.tool ?? options.context;
  return new SignJWT({
    ...(scope !== undefined && { scp: scope }),
    ...(options.tool !== undefined && options.context !== undefined && { security_context: options.context }),
    ...(options.tenant !== undefined && { tenant_id: options.tenant }),
    ...(options.executionId !== undefined && { exec_id: options.executionId }),
  })
    .setProtectedHeader({ alg: 'EdDSA', kid: key.kid, typ: 'JWT' })
    .setIssuer(options.issuer)
    .setAudience(options.audience)
    .setSubject(options.subject)
    .setJti(newId())
    .setIssuedAt(now)
    .setExpirationTime(now + ttl)
    .sign(await importJWK(key, 'EdDSA'));
}

export function addToken(program: Command, { console }: CliDeps): void {
  tokenOptions(
    program
      .command('token')
      .description('Mint a security token with a development issuer key (good for one call)'),
  ).action(async (options: TokenOptions & OutputOptions) => {
    const token = await mint(options);
    print(console, options, { security_token: token }, token);
  });
}
