import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { keepTokensFresh, type TokenFiles } from '../../dev/dev-identities.ts';
import { startDevIssuer, type DevIssuer } from '../../dev/dev-issuer.ts';
import { until } from '../support/until.ts';

describe('the token files of the development stack', () => {
  let directory: string;
  let workloads: DevIssuer;
  let operators: DevIssuer;
  let tokens: { files: TokenFiles; stop(): void };
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'mayfly-tokens-'));
    [workloads, operators] = await Promise.all([startDevIssuer({ audience: 'mayfly' }), startDevIssuer({ audience: 'operators' })]);
    tokens = await keepTokensFresh(directory, workloads, operators, 20);
  });
  afterEach(async () => {
    tokens.stop();
    await Promise.all([workloads.stop(), operators.stop()]);
    // A refresh may just be writing.
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  });

  it('hold one token each, for its owner alone, without a newline', async () => {
    for (const file of Object.values(tokens.files)) {
      expect((await stat(file)).mode & 0o777).toBe(0o600);
      expect(await readFile(file, 'utf8')).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
    }
  });

  it('name the agents to the workload issuer and the roles to the operator issuer, never crosswise', async () => {
    const claims = async (name: keyof TokenFiles) => decodeJwt(await readFile(tokens.files[name], 'utf8'));
    expect(await claims('agent_token_file')).toMatchObject({ iss: workloads.issuer, sub: 'agent:refunds', aud: 'mayfly' });
    expect(await claims('second_agent_token_file')).toMatchObject({ iss: workloads.issuer, sub: 'agent:payouts' });
    expect(await claims('orchestrator_token_file')).toMatchObject({ iss: workloads.issuer, sub: 'orchestrator:support-desk' });
    expect(await claims('admin_token_file')).toMatchObject({ iss: operators.issuer, aud: 'operators', roles: ['mayfly-admin'] });
    const [one, two] = [await claims('operator_token_file'), await claims('second_operator_token_file')];
    expect([one['roles'], two['roles']]).toEqual([['mayfly-operator'], ['mayfly-operator']]);
    expect(one.sub).not.toBe(two.sub);
  });

  it('are written anew again and again, and a reader never sees half a token', async () => {
    const seen = new Set<string>();
    await until(async () => {
      const token = await readFile(tokens.files.agent_token_file, 'utf8');
      expect(decodeJwt(token).sub).toBe('agent:refunds');
      return seen.add(token).size >= 3;
    });
    expect(seen.size).toBeGreaterThanOrEqual(3);
  });
});
