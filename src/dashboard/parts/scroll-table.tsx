import type { ComponentChildren } from 'preact';

interface ScrollTableProps {
  readonly class?: string;
  /** The id of its heading, or a name of its own. */
  readonly labelledBy?: string;
  readonly label?: string;
  readonly children: ComponentChildren;
}

/** A table that scrolls by itself where the window is narrower, by keyboard too. */
export const ScrollTable = ({ class: classes, labelledBy, label, children }: ScrollTableProps) => (
  <div class="scroll" tabIndex={0} role="region" aria-labelledby={labelledBy} aria-label={label}>
    <table class={classes}>{children}</table>
  </div>
);
