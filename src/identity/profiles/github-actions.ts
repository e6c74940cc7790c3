import type { JWTPayload } from 'jose';
import { z } from 'zod';
import type { OidcIssuerConfig } from '../../config/config-schema.ts';
import { refused } from '../verify-token.ts';

const number = z.union([z.string().regex(/^\d{1,20}$/), z.int().nonnegative().transform(String)]);
const jobClaims = z.object({
  repository: z.string().min(1),
  repository_id: number,
  repository_owner: z.string().min(1),
  repository_owner_id: number,
  run_id: number,
  run_attempt: number,
  check_run_id: number.optional(),
  event_name: z.string().min(1),
  ref: z.string().optional(),
  environment: z.string().optional(),
  job_workflow_ref: z.string().optional(),
});
type JobClaims = z.infer<typeof jobClaims>;
type Repository = NonNullable<OidcIssuerConfig['repositories']>[number];

/**
 * The job of GitHub Actions that a token is of, as its instance: run, attempt and, where it is there, check run. The repository is
 * recognised by its numbers, which are never given out again. Throws `invalid_token` for a job of another repository, and for one of
 * a pull request unless that event is listed: its code is anybody's.
 */
export function githubJob(subject: string, claims: JWTPayload, repositories: readonly Repository[]): string {
  const job = jobClaims.safeParse(claims).data;
  if (job === undefined) throw refused('it lacks claims that each job of GitHub Actions has');
  if ([claims.aud].flat().some((aud) => isOwnersUrl(aud, job.repository_owner))) throw refused("its audience is GitHub's default, which others of its owner accept too");
  if (!agrees(subject, job)) throw refused('its subject names another repository than its claims');
  if (!repositories.some((one) => matches(one, job))) throw refused('its repository, or what it runs there, is none of those that are configured');
  return [job.run_id, job.run_attempt, job.check_run_id].filter((part) => part !== undefined).join('/');
}

const isOwnersUrl = (aud: unknown, owner: string): boolean => typeof aud === 'string' && URL.parse(aud)?.pathname.toLowerCase() === `/${owner.toLowerCase()}`;

/** Both forms of `sub`: `repo:OWNER/NAME:…`, and `repo:OWNER@ID/NAME@ID:…` of newer repositories. An owner can have it say something else. */
const SUBJECT = /^repo:([^/:@]+)(?:@(\d+))?\/([^/:@]+)(?:@(\d+))?(?::|$)/;

function agrees(subject: string, job: JobClaims): boolean {
  if (!subject.startsWith('repo:')) return true;
  const [, owner, ownerId, name, id] = SUBJECT.exec(subject) ?? [];
  if (owner === undefined || name === undefined || (ownerId === undefined) !== (id === undefined)) return false;
  const sameNames = `${owner}/${name}` === job.repository && owner === job.repository_owner;
  return sameNames && (id === undefined || (id === job.repository_id && ownerId === job.repository_owner_id));
}

function matches(one: Repository, job: JobClaims): boolean {
  // Configuration without either number is refused; without that, it would match everybody.
  if (one.repository_id === undefined && one.repository_owner_id === undefined) return false;
  if (one.repository_id !== undefined && one.repository_id !== job.repository_id) return false;
  if (one.repository_owner_id !== undefined && one.repository_owner_id !== job.repository_owner_id) return false;
  if (!(one.events?.includes(job.event_name) ?? !job.event_name.startsWith('pull_request'))) return false;
  return isAmong(one.refs, job.ref) && isAmong(one.environments, job.environment) && isAmong(one.job_workflow_refs, job.job_workflow_ref);
}

const isAmong = (patterns: readonly string[] | undefined, value: string | undefined): boolean =>
  patterns === undefined || (value !== undefined && patterns.some((pattern) => (pattern.endsWith('*') ? value.startsWith(pattern.slice(0, -1)) : pattern === value)));
