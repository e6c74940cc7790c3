import type { Config } from '../config/config-schema.ts';
import type { Clock } from '../core/clock.ts';
import type { Turns } from '../core/turns.ts';
import type { WorkloadApi } from '../identity/workload-api/workload-api.ts';
import type { CountedKind } from '../ledger/ledger-counts.ts';
import type { createAwsStsProvider } from '../providers/aws-sts/aws-sts-provider.ts';
import type { CredentialProvider } from '../providers/credential-provider.ts';
import { guardProvider } from '../providers/guarded-provider.ts';
import { createJwtProvider, type JwtProvider } from '../providers/jwt/jwt-provider.ts';
import { createVaultProvider } from '../providers/vault/vault-provider.ts';
import type { SeenProvider } from '../revocation/broker-snapshot.ts';
import type { Logger } from '../telemetry/logger.ts';

interface ProviderParts {
  readonly clock: Clock;
  readonly turns: Turns;
  /** What this process does at the targets; it logs in for no more. */
  readonly rights: { readonly mint: boolean; readonly revoke: boolean; readonly list: boolean };
  readonly workloadApi: WorkloadApi | undefined;
  readonly log: Logger;
}

export interface CredentialProviders {
  readonly all: ReadonlyMap<string, CredentialProvider>;
  /** Those that sign by themselves, also among all. */
  readonly jwt: readonly JwtProvider[];
}

/** Loads what the configured providers need, and answers how to make them: each with the credentials that are its own. */
export async function loadProviders(config: Config): Promise<(parts: ProviderParts) => CredentialProviders> {
  // AWS's clients are much code, and many a broker has no AWS.
  const hasAws = Object.values(config.providers).some(({ type }) => type === 'aws-sts');
  const aws = hasAws ? await import('../providers/aws-sts/aws-sts-provider.ts') : undefined;
  return (parts) => createProviders(config, parts, aws?.createAwsStsProvider);
}

function createProviders(config: Config, { clock, turns, rights, workloadApi, log }: ProviderParts, createAws: typeof createAwsStsProvider | undefined): CredentialProviders {
  const all = new Map<string, CredentialProvider>();
  const jwt: JwtProvider[] = [];
  for (const [name, settings] of Object.entries(config.providers)) {
    const credentials = Object.fromEntries(Object.entries(config.credentials).filter(([, credential]) => credential.provider === name));
    const common = { name, credentials, deploymentId: config.deployment_id };
    if (settings.type === 'jwt') {
      const provider = createJwtProvider({ ...common, config: settings });
      jwt.push(provider);
      all.set(name, provider);
      continue;
    }
    const provider =
      settings.type === 'aws-sts'
        ? createAws?.({ ...common, config: settings, clock, turns, rights, log })
        : createVaultProvider({ ...common, config: settings, clock, rights, logger: log, jwtSvid: workloadApi?.jwtSvid });
    if (provider === undefined) throw new TypeError('the provider of AWS was not loaded');
    all.set(name, guardProvider(provider, { maxInFlight: settings.max_in_flight, mintTimeoutMs: config.minting.timeout_ms }));
  }
  return { all, jwt };
}

/** The configured providers, and the kinds that each mints, for those who look on. */
export function seenProviders(config: Config, providers: ReadonlyMap<string, CredentialProvider>): { readonly providers: readonly SeenProvider[]; readonly kinds: readonly CountedKind[] } {
  const seen = Object.entries(config.providers).map(([name, { type }]) => {
    const minted = Object.entries(config.credentials).flatMap(([credential, { provider }]) => (provider === name ? (providers.get(name)?.capabilities(credential) ?? []) : []));
    return { name, type, revocability: [...new Set(minted.map(({ revocability }) => revocability))], kinds: [...new Set(minted.map(({ kind }) => kind))] };
  });
  return { providers: seen.map(({ name, type, revocability }) => ({ name, type, revocability })), kinds: seen.flatMap(({ name, kinds }) => kinds.map((kind) => ({ provider: name, kind }))) };
}
