// Which dialog is open, and what it is about.
import type { Agent, Approval, Lease, Lock, Webhook } from '../answers.ts';
import type { Selector } from '../broker.ts';

export type RevokeTarget =
  | { readonly of: 'lease'; readonly lease: Lease }
  | { readonly of: 'leases'; readonly leases: readonly Lease[] }
  /** One selector, in words. */
  | { readonly of: 'selector'; readonly selector: Selector; readonly words: string };

export type OpenDialog =
  | { readonly is: 'revoke'; readonly target: RevokeTarget }
  | { readonly is: 'approval'; readonly approval: Approval; readonly decision: 'approve' | 'deny' }
  | { readonly is: 'lock'; readonly word?: string; readonly value?: string }
  | { readonly is: 'lift'; readonly lock: Lock }
  | { readonly is: 'disable'; readonly agent: Agent }
  | { readonly is: 'enable-agent'; readonly agent: Agent }
  | { readonly is: 'enable-webhook'; readonly webhook: Webhook }
  /** Targets and records; `release`: at the end of a hold. */
  | { readonly is: 'reconcile'; readonly act: 'compare' | 'release' }
  /** Another token before this one ends. */
  | { readonly is: 'renew' }
  | { readonly is: 'help' };
