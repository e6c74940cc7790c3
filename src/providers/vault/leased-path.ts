import type { LeaseIntent } from '../../ledger/lease.ts';

/** A parameter value that would not stay one segment: Vault decodes the path, so an encoded slash is a slash again. */
const LEAVES_ITS_SEGMENT = /[/\\\p{Cc}]|^\.{0,2}$/u;

/**
 * The path with each `{param}` replaced by one encoded segment. Throws `RangeError`, which does not hold the value, where
 * a parameter is missing or would reach beyond its segment.
 */
export function fillPath(template: string, params: LeaseIntent['params']): string {
  return template.replaceAll(/\{([a-z][a-z0-9_]*)\}/g, (_, name: string) => {
    const value = Object.hasOwn(params, name) ? String(params[name]) : '';
    if (LEAVES_ITS_SEGMENT.test(value)) throw new RangeError(`the parameter ${name} does not make one path segment`);
    return encodeURIComponent(value);
  });
}

/** The whole segments of the path before its first parameter: every lease of the path is listed below it. */
export function fixedPart(template: string): string {
  const [fixed = ''] = template.split('{');
  return fixed === template ? template : fixed.slice(0, Math.max(0, fixed.lastIndexOf('/')));
}
