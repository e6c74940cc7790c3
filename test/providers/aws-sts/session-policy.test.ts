import { describe, expect, it } from '@jest/globals';
import { MAX_SESSION_POLICY, sessionPolicy } from '../../../src/providers/aws-sts/session-policy.ts';

const END = Date.parse('2026-11-24T04:15:00.400Z');
const reading = { for_actions: ['read'], actions: ['s3:GetObject'], resources: ['arn:aws:s3:::reports/{month}/*'] };
const writing = { for_actions: ['write'], actions: ['s3:PutObject'], resources: ['arn:aws:s3:::reports/*'] };

interface Statement {
  readonly Effect: string;
  readonly Action: unknown;
  readonly Resource: unknown;
  readonly Condition?: unknown;
}
const statementsOf = (text: string): Statement[] => (JSON.parse(text) as { Statement: Statement[] }).Statement;

describe('a session policy', () => {
  it('allows what fits the declared actions, and ends twice at the due time', () => {
    const statements = statementsOf(sessionPolicy([reading, writing], { actions: ['read'], params: { month: 'october' } }, END));
    expect(statements).toEqual([
      { Effect: 'Allow', Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::reports/october/*'], Condition: { DateLessThan: { 'aws:CurrentTime': '2026-11-24T04:15:01Z' } } },
      { Effect: 'Deny', Action: '*', Resource: '*', Condition: { DateGreaterThanEquals: { 'aws:CurrentTime': '2026-11-24T04:15:01Z' } } },
      { Effect: 'Deny', Action: ['sts:*', 'iam:*'], Resource: '*' },
    ]);
  });

  it('keeps a parameter to itself: wildcards and variables are taken as they stand', () => {
    const [allow] = statementsOf(sessionPolicy([reading], { actions: ['read'], params: { month: 'a*b?${aws:username}'.replace(':', '') } }, END));
    expect(allow?.Resource).toEqual(['arn:aws:s3:::reports/a${*}b${?}${$}{awsusername}/*']);
  });

  it.each(['a/b', '..', '', 'a:b', 'a\nb'])('refuses the parameter %j, which would reach beyond its part of the ARN, and does not repeat it', (month) => {
    expect(() => sessionPolicy([reading], { actions: ['read'], params: { month } }, END)).toThrow('the parameter month does not make one part of an ARN');
  });

  it('is refused where it would allow nothing, or is longer than AWS takes', () => {
    expect(() => sessionPolicy([reading], { actions: ['export'], params: { month: 'x' } }, END)).toThrow('allows nothing for the declared actions');
    const long = { actions: ['s3:GetObject'], resources: Array.from({ length: 60 }, (_, i) => `arn:aws:s3:::reports-of-a-long-name/${i}/*`) };
    expect(() => sessionPolicy([long], { actions: ['read'], params: {} }, END)).toThrow(`AWS takes ${MAX_SESSION_POLICY}`);
  });
});
