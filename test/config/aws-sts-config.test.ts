import { describe, expect, it } from '@jest/globals';
import { RIGHT, faultsOf } from './config-fixture.ts';

const LOGIN = `login: { api: { method: web_identity, role_arn: "arn:aws:iam::111122223333:role/a", token_file: t }, worker: { method: web_identity, role_arn: "arn:aws:iam::111122223333:role/w", token_file: t } }`;
const PROVIDER = `  cloud:
    type: aws-sts
    region: eu-central-1
    ${LOGIN}
`;
const CREDENTIAL = `  reports:
    kind: aws.sts
    provider: cloud
    owner: o
    params: { month: { type: string, pattern: "[a-z]+" } }
    role_arns: ["arn:aws:iam::111122223333:role/r"]
    session_policy:
      - { for_actions: [read], actions: ["s3:GetObject"], resources: ["arn:aws:s3:::reports/{month}/*"] }
`;
const WHOLE = `${RIGHT.replace('  tokens:\n', `${PROVIDER}  tokens:\n`)}${CREDENTIAL}`;
const changed = (from: string, to: string): string => {
  if (!WHOLE.includes(from)) throw new Error(`the configuration has no ${from}`);
  return WHOLE.replace(from, to);
};

describe('a configuration with sessions of AWS', () => {
  it('has no fault (control)', () => {
    expect(faultsOf(WHOLE)).toEqual([]);
  });

  it.each<[string, string, string, RegExp]>([
    ['no Region', changed('region: eu-central-1', 'region: Frankfurt'), 'providers.cloud.region', /an AWS Region/],
    ['plain http in production', changed('region: eu-central-1', 'region: eu-central-1\n    endpoint: http://aws.test'), 'providers.cloud.endpoint', /https in production/],
    ['one login for both rights', changed('role/w"', 'role/a"'), 'providers.cloud.login.worker', /same login as api/],
    ['a session longer than AWS sells', changed('    owner: o\n', '    owner: o\n    max_ttl_seconds: 50000\n'), 'credentials.reports.max_ttl_seconds', /at most 43200/],
    ['what is no role', changed('["arn:aws:iam::111122223333:role/r"]', '["arn:aws:iam::1:user/r"]'), 'credentials.reports.role_arns.0', /ARN of an IAM role/],
    ['a role twice', changed('["arn:aws:iam::111122223333:role/r"]', '["arn:aws:iam::111122223333:role/r", "arn:aws:iam::111122223333:role/r"]'), 'credentials.reports.role_arns.1', /listed twice/],
    ['an action that is none', changed('["s3:GetObject"]', '["read things"]'), 'credentials.reports.session_policy.0.actions.0', /an AWS action/],
    ['a parameter nobody defined', changed('{month}', '{day}'), 'credentials.reports.session_policy.0.resources.0', /uses \{day\}/],
    ['a parameter nobody uses', changed('/{month}/', '/'), 'credentials.reports.params.month', /not used in session_policy/],
    ['a parameter that may be missing', changed('pattern: "[a-z]+"', 'pattern: "[a-z]+", required: false'), 'credentials.reports.params.month.required', /the session policy needs it/],
    ['a provider of another type', changed('    provider: cloud', '    provider: tokens'), 'credentials.reports.provider', /of type aws-sts/],
  ])('is refused for %s, and says where', (_what, text, key, detail) => {
    const faults = faultsOf(text);
    expect(faults.filter((fault) => fault.key === key && detail.test(fault.detail)).length > 0 ? [] : faults).toEqual([]);
  });
});
