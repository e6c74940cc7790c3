import type { CredentialConfig } from '../config/config-schema.ts';

/** The configured credentials of one provider, all of a kind it mints. Throws `RangeError` for one of another: a configuration fault. */
export function ownCredentials<C extends CredentialConfig>(
  provider: string,
  credentials: Readonly<Record<string, CredentialConfig>>,
  isOwn: (credential: CredentialConfig) => credential is C,
): ReadonlyMap<string, C> {
  return new Map(
    Object.entries(credentials).map(([name, credential]) => {
      if (!isOwn(credential)) throw new RangeError(`credential ${name} is of the kind ${credential.kind}, which provider ${provider} does not mint`);
      return [name, credential];
    }),
  );
}

/** One of them by its name. Throws `RangeError` for a name that is none of theirs. */
export function ownCredential<C>(provider: string, own: ReadonlyMap<string, C>, name: string): C {
  const credential = own.get(name);
  if (credential === undefined) throw new RangeError(`${name} is not a credential of provider ${provider}`);
  return credential;
}
