import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import { parse } from 'yaml';
import { createEventSealer } from '../../src/audit/seal-event.ts';
import { systemClock } from '../../src/core/clock.ts';
import { deriveKey } from '../../src/core/derive-key.ts';
import { addSeconds } from '../../src/core/time.ts';
import { draftIntent, draftTask, mintedLease, testLedger } from './ledger-fixture.ts';
import type { RunningBroker } from './running-broker.ts';

/** Leases of one task: as many as a declaration may ask for. */
const EACH = 16;
const AT_ONCE = 32;

/**
 * Puts live leases into the ledger of a running broker, as its own steps would: declared, intended, activated, on the audit log. Nothing
 * is minted for them. They fall due from ten minutes to an hour from now, and belong to fifty agents.
 */
export async function seedLeases(broker: RunningBroker, count: number): Promise<void> {
  const config = parse(readFileSync(broker.stack.configFile, 'utf8')) as { keys: { ledger_seal_file: string } };
  const master = readFileSync(config.keys.ledger_seal_file);
  const events = createEventSealer(deriveKey(master, 'audit events'));
  const redis = new Redis(broker.stack.redis.url, { enableAutoPipelining: true });
  const { ledger } = testLedger(redis, systemClock, {
    recordKey: deriveKey(master, 'ledger records'),
    sealEvent: (event) => events.seal(event),
    epoch: { file: null, begins: false, longestLifeMs: 86_400_000 },
  });
  let left = Math.ceil(count / EACH);
  const grant = async (number: number): Promise<void> => {
    const agent = { issuer: broker.stack.workloads.issuer, subject: `agent:worker-${number % 50}` };
    const ttlSeconds = 600 + ((number * 37) % 3_000);
    const { envelope } = draftTask(systemClock, { agent, credentials: [], ttlSeconds });
    const intents = Array.from({ length: Math.min(EACH, count - number * EACH) }, (_, index) => ({
      ...draftIntent(envelope.id, agent, index % 2 === 0 ? 'task-reference' : 'task-token', systemClock, ttlSeconds - index),
      kind: 'jwt' as const,
      provider: 'tokens',
    }));
    await ledger.declareTask(envelope, intents, agent, {});
    await ledger.activate(envelope.id, intents.map((intent) => ({ ...mintedLease(intent), targetExpiresAtMs: addSeconds(intent.dueAtMs, 5) })), agent);
  };
  const work = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await grant(left);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  redis.disconnect();
}
