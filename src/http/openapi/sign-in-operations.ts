import { z } from 'zod';
import { commandLineSignIn, signInQuery, signOutBody, signOutsBody } from '../routes/sign-in.ts';
import type { OperationArea } from './operation.ts';

const REDIRECT = { Location: 'where the browser goes', 'Set-Cookie': 'what the browser holds from then on' };

export const SIGN_IN_OPERATIONS: OperationArea = {
  name: 'sign-in',
  description: 'For people with a browser: sign-in at the issuer of operators (`operators.sign_in`). A browser that asks for HTML is told of failures in HTML.',
  operations: [
    {
      method: 'get',
      path: '/auth/methods',
      id: 'getSignInMethods',
      summary: 'How people can sign in here',
      caller: 'anyone',
      answers: {
        200: {
          description: 'in a browser (where not, a page takes a token), and at a terminal (`mayfly login`)',
          schema: z.strictObject({ sign_in: z.boolean(), cli: commandLineSignIn.meta({ id: 'CommandLineSignIn' }).nullable().describe('null where the command line cannot') }).meta({ id: 'SignInMethods' }),
        },
      },
    },
    {
      method: 'get',
      path: '/auth/sign-in',
      id: 'signIn',
      summary: 'Sends a browser to the issuer',
      caller: 'anyone',
      query: signInQuery,
      answers: { 303: { description: 'to the issuer', mediaType: 'text/plain', headers: REDIRECT } },
      problems: ['not_found', 'limit_exceeded', 'identity_unavailable'],
    },
    {
      method: 'get',
      path: '/auth/callback',
      id: 'completeSignIn',
      summary: 'Takes a browser back from the issuer',
      description: 'Its query is what the issuer adds: `code`, `state`, `iss`, or `error`.',
      caller: 'anyone',
      answers: { 303: { description: 'signed in, to `return_to`', mediaType: 'text/plain', headers: REDIRECT } },
      problems: ['not_found', 'sign_in_refused', 'limit_exceeded', 'identity_unavailable', 'ledger_unavailable', 'record_tampered'],
    },
    {
      method: 'post',
      path: '/auth/sign-out',
      id: 'signOut',
      summary: 'Ends the session of this browser',
      description: 'Ending one that is over changes nothing.',
      caller: 'anyone',
      body: signOutBody,
      bodyOptional: true,
      answers: {
        200: {
          description: 'signed out here; the cookie is taken back',
          schema: z.strictObject({ end_session_url: z.string().nullable().describe('where the person can sign out of the issuer too; null where it offers no such place') }).meta({ id: 'SignedOut' }),
        },
      },
      problems: ['not_found', 'cross_site_request', 'ledger_unavailable', 'record_tampered'],
    },
    {
      method: 'post',
      path: '/auth/back-channel-logout',
      id: 'backChannelLogout',
      summary: 'Lets the issuer end sessions',
      description: 'OpenID Connect Back-Channel Logout 1.0: of one session of the issuer (`sid`), or all of a person (`sub`).',
      caller: 'anyone',
      bodyType: 'application/x-www-form-urlencoded',
      body: z.looseObject({ logout_token: z.string() }),
      answers: { 200: { description: 'ended, on every replica', schema: z.strictObject({}) } },
      oauthErrors: ['invalid_request'],
    },
    {
      method: 'post',
      path: '/v1/sign-outs',
      id: 'signOutPerson',
      summary: 'Ends every session of a person',
      description: "Tokens that the issuer gave the person stay good until they expire, and the person can sign in again: whether they may is the issuer's to say.",
      caller: 'admin',
      body: signOutsBody,
      examples: { left: { subject: 'olga', reason: 'left the company' } },
      answers: { 200: { description: 'ended, on every replica', schema: z.strictObject({ sign_out: z.strictObject({ subject: z.string() }) }).meta({ id: 'SignOut' }) } },
    },
  ],
};
