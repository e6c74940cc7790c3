// Follows a comparison of targets and records until it is done.
import { useEffect, useState } from 'preact/hooks';
import type { Reconciliation } from '../answers.ts';
import { saidOf } from '../broker.ts';
import { useSession } from '../dashboard.ts';

const LOOK_EVERY_MS = 500;

/**
 * @param start asks for it, once
 * @returns null until it is done; a text where it could not be had
 */
export function useReconciliation(start: () => Promise<Reconciliation>): Reconciliation | string | null {
  const { broker } = useSession();
  const [found, set] = useState<Reconciliation | string | null>(null);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isOver = false;
    const look = async (asked: Promise<Reconciliation>): Promise<void> => {
      try {
        const now = await asked;
        if (isOver) return;
        if (now.state === 'done') set(now);
        else timer = setTimeout(() => void look(broker.reconciliation(now.id)), LOOK_EVERY_MS);
      } catch (error) {
        if (!isOver) set(saidOf(error));
      }
    };
    void look(start());
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, []);
  return found;
}

/** What would end, or ended: what is live and in no record, and what was undone at its target. */
export const toEnd = ({ providers }: Reconciliation): number => providers.reduce((sum, { orphans, waiting, undone }) => sum + orphans + waiting + undone, 0);
