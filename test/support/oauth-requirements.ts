/** What the standards demand of an authorization server such as this one, each by an id: document, section, letter. */
export const OAUTH_REQUIREMENTS = {
  // RFC 6749, as far as the others lean on it
  '6749-2.3-a': 'a client uses one way to authenticate in a request, not two',
  '6749-3.2-a': 'the token endpoint takes POST only',
  '6749-3.2-b': 'a parameter without a value counts as left out',
  '6749-3.2-c': 'a parameter that nobody knows is passed over',
  '6749-3.2-d': 'a parameter that is sent twice is refused',
  '6749-5.1-a': 'an answer with a token is stored by no cache',
  '6749-5.2-a': 'errors are JSON with error and error_description, status 400',
  '6749-5.2-b': 'who tried by the Authorization header gets 401 and the scheme',
  // RFC 7521 and 7523: client assertions
  '7523-3-a': 'iss and sub of an assertion are the client',
  '7523-3-b': 'an assertion for another audience is refused; issuer and token endpoint are ours',
  '7523-3-c': 'an assertion without exp, or past it, is refused',
  '7523-3-d': 'an assertion is used once, at whichever replica',
  '7523-3-e': 'an assertion is signed with a key of its client, by an allowed algorithm',
  '7521-4.2-a': 'client_id beside an assertion names the same client',
  'SPIFFE-client-auth': 'a JWT-SVID is an assertion, judged by its trust domain alone (experimental draft)',
  // RFC 8693
  'OA-1': 'subject_token and its type are required; actor_token_type belongs with actor_token, and is forbidden without it',
  'OA-2': 'an exchange answers access_token, issued_token_type and token_type, and never a refresh token',
  'OA-3': 'bad subject tokens are invalid_request, unknown resources invalid_target; a resource is absolute and has no fragment',
  'OA-4': 'token types are those of the RFC; a refresh token is no subject',
  '8693-1.1-a': 'nobody impersonates: without an actor, the subject is the client itself',
  // RFC 9396
  '9396-2-a': 'authorization_details is a JSON array of objects with a type',
  '9396-5-a': 'an unknown type is refused',
  '9396-5-b': 'an unknown field is refused',
  '9396-5-c': 'a field of the wrong type is refused',
  '9396-5-d': 'an invalid value is refused',
  '9396-5-e': 'a missing field is refused, and with it the whole request: no task is left behind',
  '9396-7-a': 'the answer holds the details as granted, with the id of the task',
  '9396-9-a': 'a resource server reads them in the token and at introspection',
  'OA-10': 'a task declaration is one type, with a published schema that allows no more',
  // RFC 7662
  'OA-20': 'introspection is for authenticated callers',
  '7662-2.1-a': 'token is required, in a form by POST',
  '7662-2.1-b': 'a wrong token_type_hint hides nothing',
  '7662-2.2-a': 'an active token is told with all that is known of it',
  '7662-2.2-b': 'unknown, foreign, changed and ended tokens get the same answer, and nothing else is in it',
  '7662-4-a': 'a revocation at one replica is heard at the next call at another',
  // RFC 7009
  'OA-21': 'a client revokes its own token, and its task ends with all leases',
  '7009-2.1-a': 'who does not authenticate revokes nothing',
  '7009-2.1-b': 'the token of another client is not revoked, and the client is told',
  '7009-2.1-c': 'a wrong token_type_hint hides nothing',
  '7009-2.2-a': 'an unknown token, and one that is revoked already, is answered 200',
  '7009-2.2.1-a': 'what cannot be revoked now is 503 with Retry-After, and not 200',
  // RFC 9449
  '9449-5-a': 'with a DPoP proof the token is bound to its key, and token_type says so',
  '9449-5-b': 'a proof that is not one, or was used, is invalid_dpop_proof, and no token is given',
  '9449-6.2-a': 'introspection tells the key that a token is bound to',
  // RFC 8414, 8707
  'OA-30': 'the metadata name this issuer exactly, and every endpoint in it answers',
  'OA-32': 'the token is for exactly the resource that was asked for, and for one only',
} as const;
export type OAuthRequirement = keyof typeof OAUTH_REQUIREMENTS;

/** Names tests by what they prove, and knows what nobody proved. */
export class RequirementTitles {
  readonly #named = new Set<string>();

  /** The title of a test. */
  of(id: OAuthRequirement): string {
    this.#named.add(id);
    return `${id}: ${OAUTH_REQUIREMENTS[id]}`;
  }

  missing(): string[] {
    return Object.keys(OAUTH_REQUIREMENTS).filter((id) => !this.#named.has(id));
  }
}
