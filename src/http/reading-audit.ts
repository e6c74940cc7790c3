import { Problem } from '../core/problem.ts';

/** Reads what the sealer writes. Another machine's sealer, or a stream to standard output, has nothing here to read: `audit_elsewhere`. */
export async function readingAudit<T>(file: string | null, read: (path: string) => Promise<T>): Promise<T> {
  if (file === null) throw new Problem('audit_elsewhere', 'the audit log goes to standard output; search it where it is collected');
  try {
    return await read(file);
  } catch (cause) {
    if (cause instanceof Problem) throw cause;
    throw new Problem('audit_elsewhere', 'this process cannot read the audit file; ask the one that seals it', { cause });
  }
}
