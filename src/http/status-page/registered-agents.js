// Who answers for the agents on the page, from the register.

/** The register changes seldom, and its events say when; a review becomes overdue by the calendar alone. */
const FRESH_MS = 5 * 60_000;
/** More agents than these are shown without their owners. */
const MOST = 200;
const AT_ONCE = 8;

/** @param {{ agentsCalled: (subject: string) => Promise<object[]>, isRegisterUsed: () => Promise<boolean> }} broker */
export function createRegisteredAgents({ agentsCalled, isRegisterUsed }) {
  const known = new Map();
  let learnedAtMs = -Infinity;
  let isUsed = false;

  return {
    /** The next `learn` asks for everything again. */
    expire() {
      learnedAtMs = -Infinity;
    },

    /** Asks for those that are not known yet, all of them once they are old. Whether there was anything to ask. */
    async learn(subjects) {
      const isOld = performance.now() - learnedAtMs > FRESH_MS;
      const wanted = [...new Set(subjects)].slice(0, MOST).filter((subject) => isOld || !known.has(subject));
      if (wanted.length === 0) return false;
      if (isOld) {
        isUsed = await isRegisterUsed();
        for (const subject of [...known.keys()]) if (!wanted.includes(subject)) known.delete(subject);
        learnedAtMs = performance.now();
      }
      for (let from = 0; from < wanted.length; from += AT_ONCE) {
        const some = wanted.slice(from, from + AT_ONCE);
        const found = await Promise.all(some.map(agentsCalled));
        some.forEach((subject, index) => known.set(subject, found[index]));
      }
      return true;
    },

    /** Null while nothing is known of it, and where no agent is registered at all: then it is no news that this one is not. */
    of(issuer, subject) {
      const agents = known.get(subject);
      if (agents === undefined) return null;
      const agent = agents.find((one) => one.issuer === issuer && one.subject === subject);
      if (agent === undefined) return isUsed ? { owner: '', mark: 'unregistered' } : null;
      return { owner: agent.owner, mark: agent.state === 'disabled' ? 'disabled' : agent.review_overdue ? 'review overdue' : '' };
    },
  };
}
