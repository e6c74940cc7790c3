import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { loadPolicies } from '../../src/policy/load-policies.ts';
import { PolicyError } from '../../src/policy/policy-error.ts';
import { compile, DIRECTORY, PERMIT_ALL, SCHEMA } from './policy-fixture.ts';

describe('loading a folder', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mayfly-policies-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });
  const write = (name: string, text: string): void => {
    writeFileSync(join(folder, name), text);
  };

  it('reads the schema and every policy beside it, and nothing else', () => {
    write('schema.cedarschema', SCHEMA);
    write('b.cedar', '@id("second") forbid (principal, action, resource) when { context.ttl_seconds > 60 };');
    write('a.cedar', PERMIT_ALL);
    write('notes.txt', 'not a policy');
    mkdirSync(join(folder, 'drafts'));
    write('drafts/c.cedar', 'not read');
    expect(Object.keys(loadPolicies(folder).byAction.get('mint') ?? {}).sort()).toEqual(['all', 'second']);
  });

  it('gives the version that the same text has anywhere else', () => {
    write('schema.cedarschema', SCHEMA);
    write('any.cedar', PERMIT_ALL);
    expect(loadPolicies(folder).version).toBe(compile(PERMIT_ALL).version);
  });

  it('names the file of a fault', () => {
    write('schema.cedarschema', SCHEMA);
    write('a.cedar', PERMIT_ALL);
    write('b.cedar', `\n${PERMIT_ALL}`);
    expect(() => loadPolicies(folder)).toThrow(`${join(folder, 'b.cedar')}, line 2, policy all: has an @id that is already used in ${join(folder, 'a.cedar')}, line 1`);
  });

  it.each([
    ['a folder that is not there', (): string => join(folder, 'none'), 'none: cannot be read'],
    ['a folder without a schema', (): string => folder, 'schema.cedarschema: cannot be read'],
  ])('refuses %s with a PolicyError', (_name, where, message) => {
    expect(() => loadPolicies(where())).toThrow(PolicyError);
    expect(() => loadPolicies(where())).toThrow(message);
  });

  it('refuses a policy file that cannot be read, rather than go on without its forbids', () => {
    write('schema.cedarschema', SCHEMA);
    write('a.cedar', PERMIT_ALL);
    mkdirSync(join(folder, 'forbids.cedar'));
    expect(() => loadPolicies(folder)).toThrow('forbids.cedar: cannot be read');
  });

  it('loads the example', () => {
    expect([...loadPolicies(DIRECTORY).vocabulary.purposes]).toEqual(['refund-investigation', 'data-export', 'ledger-close', 'support-triage']);
  });
});
