import { spawn } from 'node:child_process';

/** Whether a person looks at this terminal, on a machine with a screen. */
export const hasBrowser = (env: NodeJS.ProcessEnv): boolean => process.stderr.isTTY && (process.platform === 'darwin' || Boolean(env['DISPLAY'] ?? env['WAYLAND_DISPLAY']));

/** Opens an address of http or https in the browser of the person; nothing happens where there is none. */
export function openBrowser({ href }: URL): void {
  const child = spawn(process.platform === 'darwin' ? 'open' : 'xdg-open', [href], { stdio: 'ignore', detached: true });
  child.on('error', () => undefined);
  child.unref();
}
