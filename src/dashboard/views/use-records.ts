// Records of the audit log, read again when something happens that can be among them.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { AuditRecord } from '../answers.ts';
import { saidOf, type Query } from '../broker.ts';
import { useSession } from '../dashboard.ts';

export interface Records {
  readonly items: readonly AuditRecord[];
  readonly isLoading: boolean;
  readonly problem: string;
  readonly hasMore: boolean;
  readonly more: () => void;
}

/** The sealer writes a record a moment after it happened. */
const SEALED_AFTER_MS = 1_200;

/**
 * What several questions find, merged by time.
 * @param questions null asks nothing
 * @param news a number that goes up when there may be more
 */
export function useRecords(questions: readonly Query[] | null, order: 'newest' | 'oldest', news: number): Records {
  const { broker } = useSession();
  const [records, set] = useState<readonly AuditRecord[]>([]);
  const [problem, setProblem] = useState('');
  const [isLoading, setLoading] = useState(false);
  const cursors = useRef<readonly (string | null)[]>([]);
  const key = JSON.stringify(questions);
  const seen = useRef('');

  async function ask(asked: readonly Query[], isOver: () => boolean, before: readonly AuditRecord[]): Promise<void> {
    setLoading(true);
    try {
      const pages = await Promise.all(asked.map((question) => broker.audit({ ...question, order })));
      if (isOver()) return;
      cursors.current = pages.map(({ next_cursor: next }) => next);
      const byId = new Map([...before, ...pages.flatMap(({ items }) => items)].map((record) => [record.id, record]));
      const turn = order === 'newest' ? -1 : 1;
      set([...byId.values()].sort((a, b) => turn * ((a.seq ?? 0) - (b.seq ?? 0))));
      setProblem('');
    } catch (error) {
      if (!isOver()) setProblem(saidOf(error));
    } finally {
      if (!isOver()) setLoading(false);
    }
  }

  useEffect(() => {
    if (questions === null) {
      set([]);
      return undefined;
    }
    let over = false;
    const isNew = seen.current !== key;
    seen.current = key;
    if (isNew) set([]);
    const timer = setTimeout(() => void ask(questions, () => over, []), isNew ? 0 : SEALED_AFTER_MS);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [key, news]);

  const left = (questions ?? []).flatMap((question, index) => {
    const cursor = cursors.current[index];
    return cursor === null || cursor === undefined ? [] : [{ ...question, cursor }];
  });
  return { items: records, isLoading, problem, hasMore: left.length > 0, more: () => void ask(left, () => false, records) };
}
