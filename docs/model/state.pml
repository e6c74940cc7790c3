/* What the broker works on: time, its ledger in Redis, and a target. None of them can be trusted to stay. */

/* -- Time: the instants that matter, in their order ---------------------------------------------------------------------- */

#define UNKNOWN   0
#define DUE       1 /* when the lease shall end */
#define END       2 /* when the target ends it by its own clock: a margin later */
#define LATER_DUE 2 /* both again, once renewed */
#define LATER_END 3

#ifdef WITHOUT_TARGET_CLOCK
#define LAST_INSTANT LATER_DUE /* nothing ends but by the broker */
#define isPast(instant) false
#else
#define LAST_INSTANT LATER_END
#define isPast(instant) (instant != UNKNOWN && now >= instant)
#endif

byte now = 0; /* counted from the mint */

/* -- The ledger: the record of the lease, and of its task with it. Nothing else remembers a duty. ------------------------ */

mtype:state = { ABSENT, INTENDED, ACTIVE, REVOKING, REVOKED, LAPSED, ABANDONED };
#define mayStillEnd(state) (state == INTENDED || state == ACTIVE)
#define isFinal(state)     (state == REVOKED || state == LAPSED || state == ABANDONED)

bool redisUp = true;
mtype:state lease = ABSENT;
byte dueAt = UNKNOWN;
byte lapsesAt = UNKNOWN; /* from when on the target's own clock has certainly ended it */
bool tried = false;      /* an attempt to revoke it has failed */

/*
 * Generations. A record's generation goes up with each change, and whoever compares it asks one thing: has the record
 * changed since I looked? So each holder of a picture has one bit, and each change clears them all. This is exact as long as
 * generations never go back, and it needs no numbers: a revocation may fail as often as it likes.
 */
byte pictures = 0;
/* Whoever has a memory to lose: workers 1 and 2 have the first two bits. */
#define WORKERS_ALL 3
#define RECONCILER  4
#define API         8
/* A batch on its way to a worker (BullMQ). One whose picture is old does nothing, so it counts as none. */
#define JOB         16
#define isCurrent(who) ((pictures & (who)) != 0)
inline look(who)   { pictures = pictures | (who) }
inline forget(who) { pictures = pictures & (255 - (who)) }

/* commit.lua: a change that leaves the state as it is. */
inline changed() { pictures = 0 }

/* commit.lua: a change of state. The only place where one is written. */
inline write(next) {
  reopened = reopened || isFinal(lease);
  revived = revived || (next == ACTIVE && lease != INTENDED && lease != ACTIVE);
  lease = next;
  changed()
}

/* -- The target: does what it was asked to, whoever still waits for the answer ------------------------------------------- */

mtype:credential = { UNBORN, LIVE, DEAD };
mtype:request = { UNSENT, SENT, ANSWERED };

bool targetUp = true;
mtype:credential credential = UNBORN;
byte endsAt = UNKNOWN; /* by the target's own clock */
#define ownDue (endsAt - 1) /* what the target knows of its due time: its end, less the margin */
mtype:request mint = UNSENT;
mtype:request renewal = UNSENT;

/* Revoking twice is revoking once, and the missing is a success. */
inline endAtTarget() {
  if
  :: credential == LIVE -> credential = DEAD
  :: else
  fi
}

/* -- Hold, after a wiped Redis (in the design, not in the code yet) ------------------------------------------------------ */

bool wiped = false;
bool released = false;
#define inHold (wiped && !released)

/* -- Faults still to come, and harm, noted where it is done; properties.pml says that there is none ---------------------- */

byte faults = 0;
byte crashed = 0;        /* who is to lose all that it has in memory */

bool reopened = false;   /* a final record was written again */
bool revived = false;    /* what was being ended is active again */
bool bereft = false;     /* the reconciler ended what the ledger accounts for */
bool hasty = false;      /* in hold, something was granted, or ended before its time */
bool mintedLate = false; /* the target acted on a mint that was ended meanwhile: only the reconciler can find what it made */
