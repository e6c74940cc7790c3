// Draws only the rows that can be seen, of however many there are.
import { defaultRangeExtractor, elementScroll, observeElementOffset, observeElementRect, Virtualizer, type VirtualItem } from '@tanstack/virtual-core';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';

const OVERSCAN = 8;

export interface VirtualRows {
  readonly items: readonly VirtualItem[];
  readonly totalPx: number;
  readonly scrollTo: (index: number) => void;
}

/**
 * @param rowPx the height of each row
 * @param kept an index that is drawn wherever one has scrolled to: what has the focus must not vanish
 * @param headPx what the sticky head covers
 */
export function useVirtualRows(scroller: { readonly current: HTMLElement | null }, { count, rowPx, kept, headPx }: { readonly count: number; readonly rowPx: number; readonly kept: number; readonly headPx: number }): VirtualRows {
  const [, draw] = useState(0);
  const made = useRef<Virtualizer<HTMLElement, HTMLElement> | null>(null);
  const options = {
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowPx,
    overscan: OVERSCAN,
    scrollPaddingStart: headPx,
    scrollToFn: elementScroll<HTMLElement>,
    observeElementRect: observeElementRect<HTMLElement>,
    observeElementOffset: observeElementOffset<HTMLElement>,
    onChange: () => draw((times) => times + 1),
    rangeExtractor: (range: Parameters<typeof defaultRangeExtractor>[0]) => {
      const shown = defaultRangeExtractor(range);
      return kept < 0 || kept >= count || shown.includes(kept) ? shown : [...shown, kept].sort((a, b) => a - b);
    },
  };
  const virtual = (made.current ??= new Virtualizer(options));
  virtual.setOptions(options);
  useLayoutEffect(() => virtual._didMount(), []);
  useLayoutEffect(() => virtual._willUpdate());
  // Another height of all rows: none of what was measured holds.
  useLayoutEffect(() => virtual.measure(), [rowPx]);
  return { items: virtual.getVirtualItems(), totalPx: virtual.getTotalSize(), scrollTo: (index) => virtual.scrollToIndex(index) };
}
