import type { AwsStsCredentialConfig } from '../../config/config-schema.ts';
import { fromEpochSeconds, toRfc3339 } from '../../core/time.ts';
import type { LeaseIntent } from '../../ledger/lease.ts';

/** The longest session policy that STS takes, in characters (AssumeRole, `Policy`). */
export const MAX_SESSION_POLICY = 2_048;

/** A value that would not stay one part of an ARN. */
const LEAVES_ITS_PART = /[/:\\\p{Cc}]|^\.{0,2}$/u;

/**
 * What one session may do: the configured statements that fit the declared actions, with the parameters filled in, and
 * nothing from `endsAtMs` on. The end stands there twice: as a condition of each allow, and as a deny, since a policy of a
 * resource could grant around the allows. Sessions of sessions and IAM are denied. Throws `RangeError`, which holds no
 * value, where nothing would be allowed, a parameter does not fit, or the policy is longer than STS takes.
 */
export function sessionPolicy(statements: AwsStsCredentialConfig['session_policy'], intent: Pick<LeaseIntent, 'actions' | 'params'>, endsAtMs: number): string {
  const wanted = statements.filter(({ for_actions: actions }) => actions === undefined || actions.some((action) => intent.actions.includes(action)));
  if (wanted.length === 0) throw new RangeError('its session policy allows nothing for the declared actions');
  const end = awsInstant(endsAtMs);
  const text = JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      ...wanted.map(({ actions, resources }) => ({
        Effect: 'Allow',
        Action: actions,
        Resource: resources.map((resource) => fill(resource, intent.params)),
        Condition: { DateLessThan: { 'aws:CurrentTime': end } },
      })),
      { Effect: 'Deny', Action: '*', Resource: '*', Condition: { DateGreaterThanEquals: { 'aws:CurrentTime': end } } },
      { Effect: 'Deny', Action: ['sts:*', 'iam:*'], Resource: '*' },
    ],
  });
  if (text.length > MAX_SESSION_POLICY) throw new RangeError(`its session policy has ${text.length} characters; AWS takes ${MAX_SESSION_POLICY}`);
  return text;
}

/** The form of an instant in IAM conditions, in whole seconds, rounded up. */
export const awsInstant = (ms: number): string => toRfc3339(fromEpochSeconds(Math.ceil(ms / 1000))).replace('.000Z', 'Z');

/** Parameters stay one part of the ARN, and mean themselves: `*`, `?` and `$` are escaped (IAM policy variables). */
function fill(resource: string, params: LeaseIntent['params']): string {
  return resource.replaceAll(/\{([a-z][a-z0-9_]*)\}/g, (_, name: string) => {
    const value = Object.hasOwn(params, name) ? String(params[name]) : '';
    if (LEAVES_ITS_PART.test(value)) throw new RangeError(`the parameter ${name} does not make one part of an ARN`);
    return value.replaceAll(/[*?$]/g, (special) => `\${${special}}`);
  });
}
