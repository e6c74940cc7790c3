import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { AuditEventType } from '../../src/audit/audit-event.ts';
import { exportLine } from '../../src/audit/export/export-records.ts';
import { OCSF_KINDS } from '../../src/audit/export/ocsf-classes.ts';
import type { SealerNotice } from '../../src/audit/hash-chain.ts';
import type { StatedRecord } from '../../src/audit/read-range.ts';
import { chainOf, taskEvents, type StatedEvent } from '../support/audit-log.ts';
import { at } from '../support/at.ts';
import { ocsfFaults, ocsfPython } from '../support/ocsf-faults.ts';

const run = promisify(execFile);
const LAUNCHER = join(import.meta.dirname, '../../bin/mayfly.js');
const ABOUT = { deploymentId: 'prod', version: '0.1.0' };

const recordsOf = (events: readonly StatedEvent[]): StatedRecord[] => chainOf(events).lines.map((line) => JSON.parse(line) as StatedRecord);
const ocsf = (event: StatedEvent): Record<string, unknown> => JSON.parse(exportLine(at(recordsOf([event]), 0), 'ocsf', ABOUT)) as Record<string, unknown>;

(ocsfPython === undefined ? describe.skip : describe)("an export as OCSF, by OCSF's own schema", () => {
  it('keeps the rules of its class for every event there is, whatever little it says', () => {
    const full = { task: 'tsk_1', agent: 'agent:x', leases: ['lse_1'], facts: { reason: 'completed', note: 'of the operator', lease: 'lse_1', credential: 'orders-db', session: 's1', trace_id: 't1', credentials: [{ credential: 'orders-db' }], decision: { id: 'dec_1', result: 'deny', policies: ['p1'], policy_version: 'sha256:1', reasons: ['no'] } } };
    const events = (Object.keys(OCSF_KINDS) as AuditEventType[]).flatMap((type) => [{ at: '10:00', type }, { at: '10:00', type, ...full }].map(ocsf));
    const notice = { type: 'audit.gap', shard: 'a', from: 1, to: 2 } as const satisfies SealerNotice;
    const record: StatedRecord = { seq: 1, prev: '0', hash: 'ff', epoch: 1, sealed_at: '2026-01-06T10:00:00.000Z', origin: null, event: notice };
    events.push(JSON.parse(exportLine(record, 'ocsf', ABOUT)) as Record<string, unknown>);
    const faults = ocsfFaults(events).flatMap((found, index) => found.map((fault) => [events[index]?.['message'], fault]));
    expect(faults).toEqual([]);
  });

  it('is held to rules that a wrong event breaks (control)', () => {
    const event = ocsf({ at: '10:00', type: 'task.denied', agent: 'agent:x' });
    const wrongs = [{ type_uid: 1 }, { activity_id: 9 }, { actor: undefined }, { api: {} }, { src_endpoint: {} }, { class_uid: 3004 }, { severity_id: 9 }, { metadata: {} }, { more: 1 }];
    const [right, ...wrong] = ocsfFaults([event, ...wrongs.map((one) => ({ ...event, ...one }))]);
    expect(right).toEqual([]);
    expect(wrongs.filter((_one, index) => wrong[index]?.length === 0)).toEqual([]);
  });
});

describe('an export as OCSF', () => {
  it('drops nothing of the record, whatever it is about', () => {
    for (const type of Object.keys(OCSF_KINDS) as AuditEventType[]) {
      const record = at(recordsOf([{ at: '10:00', type, agent: 'agent:x', facts: { decision: { id: 'dec_1' } } }]), 0);
      expect(JSON.parse(exportLine(record, 'ocsf', ABOUT))).toMatchObject({ unmapped: record });
    }
  });

  it('says a grant, a refusal, a death and a sign-in in the words of their classes', () => {
    const decision = { id: 'dec_1', result: 'deny', policies: ['no-exports'], policy_version: 'sha256:1', reasons: ['exports need an approval'] };
    const [, activated = { at: '', type: 'task.declared' as const }] = taskEvents('tsk_1', 'agent:x', { from: '10:00', to: null });
    expect(ocsf(activated)).toMatchObject({ class_uid: 3003, activity_id: 1, type_uid: 300301, status: 'Success', user: { uid: 'agent:x' }, privileges: ['orders-db'], session: { uid: 'tsk_1' } });
    expect(ocsf({ at: '10:00', type: 'task.denied', agent: 'agent:x', facts: { decision } })).toMatchObject({
      class_uid: 6003, type_uid: 600301, status: 'Failure', status_detail: 'exports need an approval',
      actor: { user: { uid: 'agent:x' }, authorizations: [{ decision: 'deny', policy: { uid: 'no-exports', version: 'sha256:1' } }] },
    });
    expect(ocsf({ at: '10:00', type: 'lease.revoked', task: 'tsk_1', agent: 'agent:x', leases: ['lse_1'], facts: { lease: 'lse_1', credential: 'orders-db', reason: 'completed' } })).toMatchObject({
      class_uid: 3004, type_uid: 300404, entity: { uid: 'lse_1', type: 'lease', name: 'orders-db' }, comment: 'completed', metadata: { correlation_uid: 'tsk_1' },
    });
    expect(ocsf({ at: '10:00', type: 'session.refused', by: 'olga', facts: { failure: 'no role' } })).toMatchObject({ class_uid: 3002, type_uid: 300201, status: 'Failure', status_detail: 'no role', user: { uid: 'olga' } });
  });
});

describe('an export as CloudEvents', () => {
  it('has the required attributes, the ids that webhooks use, and the whole record', () => {
    const record = at(recordsOf(taskEvents('tsk_1', 'agent:x', { from: '10:00', to: null })), 0);
    const event = JSON.parse(exportLine(record, 'cloudevents', ABOUT)) as unknown;
    expect(event).toEqual({
      specversion: '1.0', id: 'id' in record.event && record.event.id, source: 'urn:mayfly:prod', type: 'mayfly.task.declared', subject: 'tsk_1', time: '2026-01-06T10:00:00.000Z', datacontenttype: 'application/json', sequence: '1-1', data: record,
    });
  });
});

describe('mayfly audit export', () => {
  let directory: string;
  let file: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'mayfly-export-'));
    file = join(directory, 'audit.jsonl');
    const { lines } = chainOf([...taskEvents('tsk_1', 'agent:x', { from: '10:00', to: '10:05' }), ...taskEvents('tsk_2', 'agent:y', { from: '11:00', to: '11:05' })]);
    await writeFile(file, lines.join(''));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  const exported = async (...args: string[]) => run(process.execPath, [LAUNCHER, 'audit', 'export', '--audit', file, ...args], { env: { PATH: process.env['PATH'] ?? '' } });

  it('writes what fits, oldest first, as it stands in the log', async () => {
    const { stdout, stderr } = await exported('--agent', 'agent:y', '--type', 'lease');
    const [first = '', ...more] = (await readFile(file, 'utf8')).split('\n').filter((line) => line.includes('agent:y') && line.includes('"lease.revoked"'));
    expect(more).toEqual([]);
    expect(JSON.parse(stdout)).toEqual(JSON.parse(first));
    expect(stderr).toContain('1 records');
    const out = join(directory, 'out.jsonl');
    await exported('--out', out, '--format', 'ocsf', '--deployment', 'prod');
    const events = (await readFile(out, 'utf8')).trim().split('\n').map((line) => JSON.parse(line) as { class_uid: number });
    expect(events.map(({ class_uid: uid }) => uid)).toEqual([6003, 3003, 3004, 3004, 3004, 6003, 3003, 3004, 3004, 3004]);
    expect((await stat(out)).mode & 0o777).toBe(0o600);
    await expect(exported('--out', out)).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining('is there already') });
    await expect(exported('--format', 'cloudevents')).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining('--deployment') });
    await expect(exported('--proof', join(directory, 'proof.json'))).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('no checkpoint') });
  }, 30_000);
});
