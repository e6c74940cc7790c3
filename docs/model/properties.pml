/* What must hold: the invariants 2, 4, 5 and 9 of docs/architecture.md, and what hold promises. */

/* 2. Intent is recorded before the mint: while Redis keeps what it was given, nothing is live without a record. */
#define RECORDED (credential == LIVE -> (lease != ABSENT || wiped))
ltl recorded { [] RECORDED }

/* 2. Nothing stays live: whatever crashes when, what is live will be dead, even if the target's own clock never ends it. */
ltl ends { [] (credential == LIVE -> <> (credential != LIVE)) }

/* 4. Revoking twice is revoking once: what is final stays as it is. */
#define ONCE (!reopened)
ltl once { [] ONCE }

/* 4, 5. A revocation comes to an end, for it is tried until it is confirmed or lapsed, and the missing is a success. */
ltl settles { [] (lease == REVOKING -> <> (lease != REVOKING)) }

/* 5. What is recorded as ended is dead; but for a mint that the target acted on too late, which is the reconciler's to find. */
#define HONEST (isFinal(lease) && credential == LIVE -> mintedLate)
ltl honest { [] HONEST }

/* 9. Neither a renewal nor a late activation revives a lease that is being ended. */
#define REVIVES_NOTHING (!revived)
ltl revives_nothing { [] REVIVES_NOTHING }

/* The reconciler ends nothing that the ledger accounts for. */
#define SPARES_THE_RECORDED (!bereft)
ltl spares_the_recorded { [] SPARES_THE_RECORDED }

/* In hold nothing is granted, and nothing is ended before its own due time. */
ltl holds { [] !hasty }

/* All that is safety, but for hold, in one search. */
ltl safe { [] (RECORDED && ONCE && HONEST && REVIVES_NOTHING && SPARES_THE_RECORDED) }
