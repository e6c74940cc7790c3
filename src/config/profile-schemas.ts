import { z } from 'zod';
import { filePath, httpUrl, seconds } from './config-words.ts';

const template = z.string().min(1).max(512);
const digits = z.string().regex(/^\d{1,20}$/, 'the number, in quotes');

const serviceAccount = z.strictObject({
  namespace: z.string().min(1).describe('of the service account'),
  name: z.string().min(1).describe('of the service account'),
  uid: z.string().min(1).optional().describe('of the service account: one that was deleted and made again under the same name is then another'),
});

const tokenReview = z
  .strictObject({
    url: httpUrl.describe('of the API server, such as `https://kubernetes.default.svc`'),
    token_file: filePath.describe("the broker's own service-account token, read at each review; it needs the ClusterRole `system:auth-delegator`"),
    ca_file: filePath.optional().describe('PEM certificates to trust for the API server instead of the system store'),
    cache_seconds: seconds(0, 60).default(10).describe('how long its yes is good; a pod that was deleted is accepted no longer than this'),
  })
  .describe('asks the API server about each token: it knows of deleted pods and service accounts, a signature does not');

const repository = z.strictObject({
  repository_id: digits.optional().describe('the number of the repository, which stays when it is renamed and is never given out again'),
  repository_owner_id: digits.optional().describe('the number of its owner'),
  refs: z.array(z.string().min(1)).min(1).optional().describe('values of `ref`, exact or a prefix ending in `*`; all when absent'),
  environments: z.array(z.string().min(1)).min(1).optional().describe('values of `environment`; all when absent'),
  job_workflow_refs: z.array(z.string().min(1)).min(1).optional().describe('values of `job_workflow_ref`, exact or a prefix ending in `*`; all when absent'),
  events: z.array(z.string().min(1)).min(1).optional().describe('values of `event_name`; all but those of pull requests when absent'),
});

/** What an issuer of workload tokens may say of its platform, and of how claims become names. */
export const profileKeys = {
  profile: z.enum(['generic', 'kubernetes', 'github_actions']).default('generic').describe('the platform whose rules its tokens must fit'),
  agent: template.optional().describe("the agent's name, from claims: `agent:{repository_id}`; `sub` when absent. Values are percent-encoded, unless one stands alone"),
  owner: template.optional().describe('the owner that a token names, likewise; on the record'),
  environment: template.optional().describe('the environment that a token names, likewise; on the record'),
  service_accounts: z.array(serviceAccount).min(1).optional().describe('of the profile `kubernetes`: whose tokens are accepted; all when absent'),
  token_review: tokenReview.optional(),
  repositories: z.array(repository).min(1).optional().describe('of the profile `github_actions`: whose jobs are accepted'),
};
