import type { Config } from '../config/config-schema.ts';
import { auditOrigin } from './checkpoint.ts';
import { loadNoteSigner, type NoteSigner } from './signed-note.ts';

/** The keys that sign a deployment's checkpoints, the one that signs now first; empty where none is configured. Throws `TypeError` that names a file. */
export const loadCheckpointSigners = ({ keys, deployment_id: deploymentId }: Pick<Config, 'keys' | 'deployment_id'>): NoteSigner[] =>
  (keys.checkpoint_key_files ?? []).map((file) => loadNoteSigner(file, auditOrigin(deploymentId)));
