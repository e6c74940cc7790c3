/** What the ids in test names belong to. */
const STANDARDS = [
  ['SPIFFE', /\bSP-\d+[a-z]?\b/g],
  ['OpenID Connect, Kubernetes, GitHub Actions', /\b(?:OI|K8|GH)-\d+\b/g],
  ['DPoP, RFC 9449 section 4.3', /\bDPoP-\d+\b/g],
  ['OAuth, RFC 6749 to 9728', /\bOA-\d+(?:-[a-z])?\b|\b(?:6749|7009|7521|7523|7662|8414|8693|8705|8707|9068|9396|9449|9728)-[\d.]+-[a-z]\b/g],
  ['SSF 1.0, CAEP 1.0', /\bSS-\d+\b/g],
  ['CloudEvents 1.0', /\bCE(?: JSON)? \d+\.\d+/g],
  ['AuthZEN 1.0', /\bAZ-\d+\.\d+\b|\bC\.\d+\.\d+(?:\.\d+)?\b|\bC\.6\b/g],
];

/**
 * Counts tests by the standard whose requirement they name, for the end of a run.
 * @param {readonly { fullName: string, status: string }[]} tests
 * @returns {string[]} a line each: `SPIFFE: 33 requirements, 214 tests, 214 passed`
 */
export function countByStandard(tests) {
  return STANDARDS.flatMap(([title, pattern]) => {
    const naming = tests.filter(({ fullName }) => fullName.match(pattern) !== null);
    const ids = new Set(naming.flatMap(({ fullName }) => fullName.match(pattern) ?? []));
    const passed = naming.filter(({ status }) => status === 'passed').length;
    return naming.length === 0 ? [] : [`${title}: ${ids.size} requirements, ${naming.length} tests, ${passed} passed`];
  });
}
