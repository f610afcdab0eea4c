/** Who may look and ask: a bearer of an operator's token, and in development mode whoever is on this machine. */
import type { Middleware } from 'koa';
import { GatewayError } from '../../../errors.ts';
import { bearerOf } from '../bearer.ts';
import { refuse } from '../reply.ts';
import { foreignReason } from './loopback.ts';

export interface Operator {
  readonly subject: string;
  readonly name: string | null;
  readonly email: string | null;
}

export interface OperatorDeps {
  /** Who the bearer of a token is; null: no operator. null itself: nobody can have such a token. */
  readonly verifyOperator: ((token: string) => Promise<Operator | null>) | null;
  readonly development: boolean;
}

const DEVELOPER: Operator = { subject: 'development', name: null, email: null };
const NOT_CONFIGURED =
  'this gateway knows no operators; set auth.operator_jwks_uri and auth.operator_jwt_issuer, or, on a machine of your own, auth.development: true';

/** Lets operators on, with `state.operator`. */
export function requireOperator(deps: OperatorDeps): Middleware {
  return async (context, next) => {
    const operator = await operatorOf(context.req, deps);
    if (operator === null) {
      refuse(context, 403, 'this token is good, but holds none of the roles in auth.operator_roles');
      return;
    }
    context.state.operator = operator;
    await next();
  };
}

/** A token that is sent is always looked at, also where none is needed. */
async function operatorOf(
  request: Parameters<typeof foreignReason>[0],
  { verifyOperator, development }: OperatorDeps,
): Promise<Operator | null> {
  const { authorization } = request.headers;
  if (authorization === undefined && development) {
    const reason = foreignReason(request);
    if (reason !== null) throw refused(`development mode is for this machine alone, and ${reason}`);
    return DEVELOPER;
  }
  if (verifyOperator === null) throw refused(NOT_CONFIGURED);
  return verifyOperator(bearerOf(authorization ?? '', "an operator's token"));
}

function refused(message: string): GatewayError {
  return new GatewayError('TOKEN_VERIFICATION_FAILED', message);
}
