import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { RunningBroker } from '../support/running-broker.ts';

const run = promisify(execFile);
const example = join(import.meta.dirname, '../../examples/delegated-refund/show.ts');
let broker: RunningBroker;
let stack: string;

beforeAll(async () => {
  broker = await RunningBroker.start();
  stack = await broker.writeDevJson();
}, 60_000);

afterAll(() => broker.stop(), 30_000);

describe('examples/delegated-refund', () => {
  it('shows evidence, mTLS, delegation, an approval, an end that cuts a session, and the whole story', async () => {
    const { stdout } = await run(process.execPath, [example, '--stack', stack]);
    expect(stdout).toMatch(/orchestrator +vouches for spiffe:\/\/example\.org\/agent\/refunds: task tsk_\w+, pending_claim/);
    expect(stdout).toMatch(/agent A +claims it over mTLS: orders-db, task-reference/);
    expect(stdout).toMatch(/agent B +claims it and reads: \d+ orders/);
    expect(stdout).toMatch(/agent B +asks for a Vault token, too: 422, .*\/name is not a credential that the parent task has/);
    expect(stdout).toMatch(/agent A +wants to export: task tsk_\w+, pending_approval/);
    expect(stdout).toMatch(/agent A +claims the export: active/);
    const afterMs = Number(/its database session is cut, (\d+) ms/.exec(stdout)?.[1]);
    // The command line takes most of it to start: the end itself is looked at in journeys/delegation.
    expect(afterMs).toBeLessThan(10_000);
    expect(stdout).not.toContain('it still works');
    expect(stdout).toMatch(/declared by orchestrator:support-desk, orchestrator_signed by orchestrator:support-desk/);
    expect(stdout).toMatch(/handed on by spiffe:\/\/example\.org\/agent\/refunds/);
    expect(stdout).toMatch(/permit by refund-investigation-declare-for, refund-investigation-mint/);
    expect(stdout).toMatch(/delegation\.refused \(agent:payouts\): refused/);
    expect(stdout).toMatch(/orders-db lse_\w+: dead at \S+, revoked \(on demand\), usable for at most \d+ ms too long/);
    expect(stdout).toMatch(/task\.approved \(olga\): approved: seen the request/);
    expect(stdout).toMatch(/ended: revoked, by olga/);
  }, 60_000);
});
