/** Where the gateway is that a command asks: what its flag says, the environment, gateway.yaml, the default. */
import { type ConfiguredAddress, configuredAddress, environment } from '../config.ts';
import { CliError } from './output.ts';

export interface Address {
  readonly url: string;
  /** What says so, for who wonders why this one. */
  readonly from: string;
}

const LISTENERS = {
  data: {
    flag: '--gateway',
    variable: 'SEAL_GATEWAY_URL',
    key: 'bind_addr',
    example: 'http://127.0.0.1:8089',
  },
  control: {
    flag: '--control',
    variable: 'SEAL_GATEWAY_CONTROL_URL',
    key: 'control_bind_addr',
    example: 'http://127.0.0.1:8090',
  },
} as const;

export interface AddressOptions {
  /** Of the flag. */
  readonly given: string | undefined;
  /** Of `--config`: who names a file means the gateway of that file. */
  readonly config: string | undefined;
}

/** Throws CliError for what is no URL, and for a listener that binds any free port. */
export function addressOf(listener: keyof typeof LISTENERS, { given, config }: AddressOptions): Address {
  const { flag, variable, key, example } = LISTENERS[listener];
  if (given !== undefined) return checked(given, flag, example);
  const told = config === undefined ? environment(variable) : null;
  if (told !== null) return checked(told, variable, example);
  const configured = configuredAddress(key, config);
  const url = urlOf(configured);
  if (url !== null) return { url, from: configured.from };
  throw new CliError(
    `${configured.from} says ${configured.bind_addr}, which is any free port: say which it is (${flag} <url>)`,
  );
}

/** What is listened on everywhere is asked on this machine. null: the port is not known. */
function urlOf({ bind_addr, tls }: ConfiguredAddress): string | null {
  const at = bind_addr.lastIndexOf(':');
  const [host, port] = [bind_addr.slice(0, at), Number(bind_addr.slice(at + 1))];
  if (port === 0) return null;
  const reached = host === '0.0.0.0' ? '127.0.0.1' : /^\[[0:]+\]$/.test(host) ? '[::1]' : host;
  return `${tls ? 'https' : 'http'}://${reached}:${port}`;
}

function checked(url: string, from: string, example: string): Address {
  if (/^https?:$/.test(URL.parse(url)?.protocol ?? '')) return { url, from };
  throw new CliError(`${from} ${url}: expected a URL, such as ${example}`);
}

/** What to say of an address where nobody answers. */
export function unreached({ url, from }: Address, why: string, flag: '--gateway' | '--control'): CliError {
  const source = from === flag ? '' : ` The address is from ${from}; ${flag} <url> names another.`;
  return new CliError(`${url}: ${why}. Is the gateway running?${source}`);
}
