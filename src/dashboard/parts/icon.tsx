// Small pictures beside words; never alone, so they are hidden from who listens.

const PATHS = {
  check: 'M3 8.5l3.2 3.2L13 4.8',
  alert: 'M8 2.2 14.6 13.6H1.4zM8 6.4v3.4M8 11.6v.2',
  clock: 'M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 1 0 8 1.8M8 4.6V8l2.4 1.6',
  lock: 'M3.6 7.2h8.8v6.4H3.6zM5.4 7V4.9a2.6 2.6 0 0 1 5.2 0V7',
  pause: 'M5.5 3.5v9M10.5 3.5v9',
  ring: 'M8 3.4a4.6 4.6 0 1 0 0 9.2A4.6 4.6 0 1 0 8 3.4',
  dot: 'M8 5.2a2.8 2.8 0 1 0 0 5.6A2.8 2.8 0 1 0 8 5.2',
  half: 'M8 3.4a4.6 4.6 0 1 0 0 9.2A4.6 4.6 0 1 0 8 3.4M8 3.4v9.2M9.6 4v8M11.2 5v6',
  cross: 'M4 4l8 8M12 4l-8 8',
  key: 'M10.6 2.8a2.9 2.9 0 1 0 0 5.8 2.9 2.9 0 1 0 0-5.8M8.4 7.8 3 13.2M4.6 11.6l1.6 1.6',
} as const;

export type IconName = keyof typeof PATHS;

export const Icon = ({ name }: { readonly name: IconName }) => (
  <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false" data-icon={name}>
    <path d={PATHS[name]} />
  </svg>
);
