import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readCloudTrail } from '../../../src/policy/usage/cloudtrail.ts';
import type { Evidence } from '../../../src/policy/usage/evidence.ts';
import type { GrantedLease } from '../../../src/policy/usage/granted-leases.ts';
import { readPostgresLogs } from '../../../src/policy/usage/postgres-log.ts';
import { readSql } from '../../../src/policy/usage/read-sql.ts';
import { reportUsage } from '../../../src/policy/usage/usage-report.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mayfly-usage-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));
const file = async (name: string, content: string | Buffer): Promise<string> => {
  await writeFile(join(folder, name), content);
  return join(folder, name);
};

const HEX = '0123456789abcdef0123456789abcdef';
const LEASE = `lse_${HEX}`;
const LOGIN = `v-token-lse-${HEX}-AbC123xYz789`;

describe('a SQL statement', () => {
  it.each([
    ['select * from orders o join public.customers c on true', 'SELECT', 'read', ['orders', 'public.customers']],
    ["SELECT 'insert into secrets' -- from nowhere\nFROM \"Orders\" /* from x */", 'SELECT', 'read', ['Orders']],
    ['insert into orders values ($1)', 'INSERT', 'write', ['orders']],
    ['update only orders set a = 1', 'UPDATE', 'write', ['orders']],
    ['with gone as (delete from orders returning *) select * from gone', 'DELETE', 'write', ['orders']],
    ['copy orders to stdout', 'COPY', 'read', ['orders']],
    ['copy orders from stdin', 'COPY', 'write', ['orders']],
    ['select * into t from orders', 'SELECT', 'write', ['t', 'orders']],
    ['call settle()', 'CALL', 'unknown', []],
  ] as const)('%s: %s, %s', (sql, what, effect, objects) => {
    expect(readSql(sql)).toEqual({ what, effect, objects });
  });

  it.each(['BEGIN', 'set search_path to x', '-- nothing', ''])('that only steers the session is no use: %s', (sql) => {
    expect(readSql(sql)).toBeUndefined();
  });
});

describe('logs of PostgreSQL', () => {
  const expected = [
    { lease: LEASE, what: 'SELECT', effect: 'read', objects: ['orders'], refused: false, atMs: Date.parse('2026-01-05T12:00:01.250Z') },
    { lease: LEASE, what: 'UPDATE', effect: 'write', objects: ['orders'], refused: true, atMs: Date.parse('2026-01-05T12:00:02Z') },
  ];

  it('as stderr with the usual prefix: who it was is known from the connection', async () => {
    const log = await file('postgresql.log', `2026-01-05 12:00:00.000 UTC [77] LOG:  connection authorized: user=${LOGIN} database=orders
2026-01-05 12:00:01.250 UTC [77] LOG:  statement: select *
\tfrom orders
2026-01-05 12:00:02.000 UTC [77] LOG:  execute <unnamed>: update orders set x = $1
2026-01-05 12:00:02.001 UTC [77] ERROR:  permission denied for table orders
2026-01-05 12:00:02.001 UTC [77] STATEMENT:  update orders set x = $1
2026-01-05 12:00:03.000 UTC [78] LOG:  statement: delete from orders
2026-01-05 12:00:04.000 UTC [77] LOG:  connection authorized: user=postgres database=orders
2026-01-05 12:00:05.000 UTC [77] LOG:  statement: drop table orders
garbage of nowhere
`);
    const found = await readPostgresLogs([log]);
    expect(found.evidence).toEqual(expected);
    expect(found.malformed).toEqual([{ file: log, line: 10, detail: expect.stringContaining('stderr') }]);
    expect(found.span).toEqual({ fromMs: Date.parse('2026-01-05T12:00:00Z'), toMs: Date.parse('2026-01-05T12:00:05Z') });
  });

  it('as csvlog, where an entry may have many lines', async () => {
    const row = (time: string, severity: string, message: string): string =>
      `${time} UTC,"${LOGIN}","orders",77,"127.0.0.1:5000",65f0.4d,1,"SELECT",2026-01-05 12:00:00 UTC,3/2,0,${severity},00000,"${message.replaceAll('"', '""')}",,,,,,,,,"psql","client backend",,0`;
    const log = await file('postgresql.csv', `${row('2026-01-05 12:00:01.250', 'LOG', 'statement: select *\nfrom "orders"')}\n${row('2026-01-05 12:00:02.000', 'LOG', 'statement: update orders set x = 1')}\n${row('2026-01-05 12:00:02.001', 'ERROR', 'permission denied for table orders')}\nnot,a,row\n`);
    const found = await readPostgresLogs([log]);
    expect(found.evidence).toEqual(expected);
    expect(found.malformed).toMatchObject([{ file: log, line: 5 }]);
  });

  it('as jsonlog', async () => {
    const entry = (timestamp: string, severity: string, message: string): string => JSON.stringify({ timestamp: `${timestamp} UTC`, user: LOGIN, dbname: 'orders', pid: 77, error_severity: severity, message });
    const log = await file('postgresql.json', `${entry('2026-01-05 12:00:01.250', 'LOG', 'statement: select * from orders')}\n${entry('2026-01-05 12:00:02.000', 'LOG', 'execute s1: update orders set x = 1')}\n${entry('2026-01-05 12:00:02.001', 'ERROR', 'permission denied for table orders')}\n{"half":\n`);
    const found = await readPostgresLogs([log]);
    expect(found.evidence).toEqual(expected);
    expect(found.malformed).toMatchObject([{ file: log, line: 4 }]);
  });

  it('without a statement prove nothing: there is no span', async () => {
    const log = await file('postgresql.log', `2026-01-05 12:00:00.000 UTC [77] LOG:  connection authorized: user=${LOGIN} database=orders\n`);
    expect(await readPostgresLogs([log])).toMatchObject({ evidence: [], span: null });
  });
});

describe('files of CloudTrail', () => {
  const event = (fields: object): object => ({ eventVersion: '1.11', eventTime: '2026-01-05T12:00:01Z', eventSource: 's3.amazonaws.com', eventName: 'GetObject', readOnly: true, userIdentity: { type: 'AssumedRole', principalId: `AROAEXAMPLE:${LEASE}`, arn: `arn:aws:sts::111122223333:assumed-role/mayfly-reports-1/${LEASE}` }, ...fields });

  it('tell what a session did, by its name, gzipped or not; malformed records are named', async () => {
    const records = [event({}), event({ eventName: 'PutObject', readOnly: false, errorCode: 'AccessDenied' }), event({ userIdentity: { arn: 'arn:aws:iam::111122223333:user/lse_x' } }), { nothing: true }];
    const [plain, packed, broken] = [await file('a.json', JSON.stringify({ Records: records })), await file('b.json.gz', gzipSync(JSON.stringify({ Records: [event({ eventTime: '2026-01-05T12:09:00Z' })] }))), await file('c.json', '{')];
    const found = await readCloudTrail([plain, packed, broken]);
    expect(found.evidence).toMatchObject([
      { lease: LEASE, what: 's3:GetObject', effect: 'read', refused: false },
      { lease: LEASE, what: 's3:PutObject', effect: 'write', refused: true },
      { lease: LEASE, what: 's3:GetObject' },
    ]);
    expect(found.malformed).toMatchObject([{ file: plain, line: 4 }, { file: broken, line: 1 }]);
    expect(found.span?.toMs).toBe(Date.parse('2026-01-05T12:09:00Z'));
  });
});

describe('granted against used', () => {
  const lease = (n: number, fields: Partial<GrantedLease> = {}): GrantedLease => ({ id: `lse_${n}`, agent: 'agent:refunds', purpose: 'refund-investigation', credential: 'orders-db', kind: 'vault.dynamic', actions: ['read', 'write', 'export'], createdMs: 1_000_000, dueMs: 1_900_000, endedMs: 1_060_000, ...fields });
  const sign = (n: number, fields: Partial<Evidence> = {}): Evidence => ({ lease: `lse_${n}`, atMs: 1_000_000 + n * 1_000, effect: 'read', what: 'SELECT', objects: ['orders'], refused: false, ...fields });
  const span = { fromMs: 0, toMs: 9_000_000 };
  const leases = [0, 1, 2, 3, 4].map((n) => lease(n));
  const postgres = { evidence: leases.map((_, n) => sign(n)), malformed: [], span };

  it('proposes a shorter life and fewer actions where all of it was seen', () => {
    const [group] = reportUsage(leases, { toolCalls: [], postgres, cloudTrail: null }, 5);
    expect(group?.credentials[0]).toMatchObject({ leases: 5, used: 5, unused: 0, unknown: 0, asked_seconds: { median: 900 }, used_seconds_p95: 4, actions: { exercised: ['read'], not_exercised: ['write'], cannot_tell: ['export'] }, did: { SELECT: 5 }, objects: ['orders'] });
    expect(group?.proposals).toMatchObject([{ propose: 'shorten', ttl_seconds: 30 }, { propose: 'drop_actions', actions: ['write'] }]);
  });

  it('proposes to drop what was never used, and only where its use would have been seen (control)', () => {
    const nothing = { ...postgres, evidence: [] };
    expect(reportUsage(leases, { toolCalls: [], postgres: nothing, cloudTrail: null }, 5)[0]?.proposals).toContainEqual(expect.objectContaining({ propose: 'drop_credential', credential: 'orders-db' }));
    for (const sources of [{ postgres: null }, { postgres: { ...nothing, span: null } }, { postgres: { ...nothing, span: { fromMs: 0, toMs: 1_000_001 } } }]) {
      const [group] = reportUsage(leases, { toolCalls: [], cloudTrail: null, ...sources }, 5);
      expect(group).toMatchObject({ credentials: [{ unused: 0, unknown: 5 }], proposals: [] });
    }
  });

  it('proposes nothing on few leases, and takes a refused write for none', () => {
    expect(reportUsage(leases, { toolCalls: [], postgres, cloudTrail: null }, 6)[0]?.proposals).toEqual([]);
    const refused = { ...postgres, evidence: [...postgres.evidence, sign(1, { effect: 'write', what: 'UPDATE', refused: true })] };
    expect(reportUsage(leases, { toolCalls: [], postgres: refused, cloudTrail: null }, 5)[0]?.credentials[0]?.actions.not_exercised).toEqual(['write']);
    const hidden = { ...postgres, evidence: [...postgres.evidence, sign(1, { effect: 'unknown', what: 'CALL' })] };
    expect(reportUsage(leases, { toolCalls: [], postgres: hidden, cloudTrail: null }, 5)[0]?.credentials[0]?.actions.not_exercised).toEqual([]);
  });
});
