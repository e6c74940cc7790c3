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
  'OA-31': 'a document tells of this interface, by exactly the address that clients know, and who does not authenticate is told where it is',
  'OA-32': 'the token is for exactly the resource that was asked for, and for one only',
} as const;

/** What they demand of one that lets agents act on the authority of others. */
export const ACTOR_REQUIREMENTS = {
  'OA-5-a': 'act names whoever acts, those before it nested inside; sub is the agent that it began with',
  'OA-5-b': 'the chain is that of our own records, whatever a token or a parameter says of one',
  'OA-5-c': 'introspection tells the same act as the token',
  'OA-6-a': 'who acts for a person has a token with the person as sub and itself as act',
  'OA-6-b': 'where may_act names another actor, the exchange is refused',
  'OA-6-c': 'where the person agreed to this agent nowhere, and where the token is not of a person, the exchange is refused',
  'OA-6-d': 'policy sees that the person agreed, and who it is',
  'OA-7-a': 'a child is no wider than its parent, in nothing',
  'OA-7-b': 'a child is over no later than the token it came by',
  'OA-7-c': 'no chain is longer than allowed, and none goes round in a circle',
  'OA-7-d': 'tokens of different delegations are not spliced: the actor is who it proves to be, and no token of a task proves that',
  'OA-7-e': 'with the parent ends what came of it',
  'OA-7-f': 'the token of a task that ended, or that somebody changed, hands nothing on',
  'OA-7-g': "the parent's agent must be permitted to delegate, and the actor to mint",
  'OA-7-h': 'a token that is bound to a key hands nothing on without that key',
  'OA-7-i': 'a delegation that cannot be claimed leaves no task that waits',
  'OA-7-j': 'the record says by which token the task was handed on',
} as const;

/** What draft-ietf-oauth-transaction-tokens demands of a service that issues such tokens, as far as this one does. */
export const TRANSACTION_REQUIREMENTS = {
  'OA-40-a': 'it is a txntoken+jwt with the claims of the draft: the task is the transaction, its purpose the scope, the agent the workload that asked',
  'OA-40-b': 'the answer says N_A and the issued type, and never has a refresh token; what is no transaction token is never given for one',
  'OA-40-c': 'audience and scope are required; the scope is the purpose, and no more',
  'OA-40-d': 'refresh tokens, self-signed and unsigned ones, and transaction tokens are no subjects',
  'OA-40-e': 'it is decided by policy and recorded before it is minted, as every other credential',
  'OA-40-f': 'it lives no longer than its credential allows, nor than the task whose token was shown, and is told as what nobody can take back',
  'OA-40-g': 'its subject is the person or the agent that it began with',
  'OA-40-h': 'it proves nothing of who shows it: it is no client, no caller, no access token',
  'OA-40-i': 'its details are what the credential lets one choose, and nothing that only the client says',
  'OA-40-j': 'where it is not switched on it is refused, and nothing tells of it',
  'OA-41': 'it stands in no log, no audit record and no key of Redis',
} as const;

/** What RFC 8705 and draft-ietf-oauth-spiffe-client-auth demand of one whose clients have X.509-SVIDs. */
export const MTLS_REQUIREMENTS = {
  '8705-2-a': 'a client is the workload of its certificate, and client_id says so',
  '8705-2-b': 'a client_id that is not that of the certificate is refused, and so is a certificate of no authority of its trust domain',
  '8705-2-c': 'a certificate beside an assertion authenticates nobody',
  '8705-3-a': "a token is bound to the client's certificate, and to none where the connection has none",
  '8705-3-b': "a token is not bound to the certificate of somebody on the way",
  '8705-3-c': 'a token that is bound by DPoP is not bound to the certificate as well',
  '8705-3-d': 'a token that is bound to a certificate hands nothing on',
  '8705-3.2-a': 'introspection tells the certificate that a token is bound to',
  '8705-3.3-a': 'the metadata say that tokens are bound to certificates, and how clients authenticate by theirs',
  '8705-5-a': 'the metadata say where certificates count, and every endpoint there answers',
} as const;

/** Names tests by what they prove, and knows what nobody proved. */
export class RequirementTitles<Id extends string> {
  readonly #requirements: Readonly<Record<Id, string>>;
  readonly #named = new Set<string>();

  constructor(requirements: Readonly<Record<Id, string>>) {
    this.#requirements = requirements;
  }

  /** The title of a test. */
  of(id: Id): string {
    this.#named.add(id);
    return `${id}: ${this.#requirements[id]}`;
  }

  missing(): string[] {
    return Object.keys(this.#requirements).filter((id) => !this.#named.has(id));
  }
}
