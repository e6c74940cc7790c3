// How high a row is: one line of a table, or a card where there is no room for one.
import { useEffect, useState } from 'preact/hooks';

const NARROW = '(max-width: 56rem)';
const [ROW_REM, CARD_REM] = [2.75, 11];

/** In px, and whether rows are cards. The style sheet's `--row-rem` and `--card-rem` say the same. */
export function useRowHeight(): { readonly rowPx: number; readonly isCard: boolean } {
  const [height, set] = useState(measure);
  useEffect(() => {
    const change = (): void => set(measure());
    const query = matchMedia(NARROW);
    query.addEventListener('change', change);
    window.addEventListener('resize', change);
    return () => {
      query.removeEventListener('change', change);
      window.removeEventListener('resize', change);
    };
  }, []);
  return height;
}

function measure(): { readonly rowPx: number; readonly isCard: boolean } {
  const isCard = matchMedia(NARROW).matches;
  const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
  return { rowPx: Math.round((isCard ? CARD_REM : ROW_REM) * rem), isCard };
}
