// The words of others: always text, which turns no direction but its own and hides no character.
import { readable, short } from '../words.ts';

export const Foreign = ({ text, title }: { readonly text: string; readonly title?: string | undefined }) => <bdi title={title}>{readable(text)}</bdi>;

/** An id, short; the whole of it in the title and for who copies. */
export const Id = ({ id }: { readonly id: string }) => (
  <span class="mono" title={id}>
    {short(id)}
  </span>
);
