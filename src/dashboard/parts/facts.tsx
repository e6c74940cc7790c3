// A list of facts with their names; what there is nothing to say of is left out.
import type { ComponentChild } from 'preact';
import { Foreign } from './foreign.tsx';

/** A name and what is to be said, each on a line of its own. A text is somebody's words. */
export type Fact = readonly [name: string, ...said: (ComponentChild | null)[]];

export function Facts({ facts }: { readonly facts: readonly Fact[] }) {
  return (
    <dl class="facts">
      {facts.map(([name, ...values]) => {
        const said = values.filter((value) => value !== null && value !== undefined && value !== '');
        if (said.length === 0) return null;
        return (
          <div key={name}>
            <dt>{name}</dt>
            {said.map((value, index) => (
              <dd key={index}>{typeof value === 'string' ? <Foreign text={value} /> : value}</dd>
            ))}
          </div>
        );
      })}
    </dl>
  );
}
