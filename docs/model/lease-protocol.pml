/*
 * The life of one lease, from its declaration to its certain end, with everything that can go wrong on the way.
 * README.md says what is modelled, what is left out, and how to run it.
 *
 * Each process is a part of the code, named above it. Each step is one of the code's: one run of `commit.lua`, or one call at
 * the target. Between two steps anything else may happen, a crash included. Guards stand above the process they guard, each
 * with the mistake of leaving it out.
 */

#include "state.pml"

/* ===== The schedule: a lease that is being ended stays on it until it is final, whatever becomes of a job (adr/0002) ===== */

#ifdef MISTAKE_JOB_IS_THE_MEMORY
#define isScheduled false
inline remember() { look(JOB) }
#else
#define isScheduled (lease == REVOKING)
inline remember() { skip }
#endif

/* ===== revocation/revoke-leases.ts: the one path by which a credential is ended at its target =========================== */

#ifndef WORKERS
#define WORKERS 1
#endif

#ifdef MISTAKE_MISSING_IS_FAILURE
#define isSuccess (credential == LIVE)
#else
#define isSuccess true
#endif
#ifdef MISTAKE_FAILURE_IS_SWALLOWED
#define IF_NO_ANSWER true
#else
#define IF_NO_ANSWER false
#endif
#ifdef MISTAKE_SETTLEMENT_UNCHECKED
#define maySettle true
#else
#define maySettle isCurrent(me)
#endif

active [WORKERS] proctype Worker() {
  byte me = 1 << _pid; /* the first processes of the model, so 1 and 2 */
  bool ended;
working:
  {
end:
    do
    :: atomic { redisUp && isCurrent(JOB) ->
         forget(JOB); look(me);
         ended = IF_NO_ANSWER;
         if
         :: targetUp -> ended = ended || isSuccess; endAtTarget()
         :: targetUp && faults > 0 -> faults--; endAtTarget() /* the answer is lost */
         :: !targetUp
         fi };
       if
       :: d_step { redisUp ->
            if
            :: maySettle && ended -> write(REVOKED)
            :: maySettle && !ended -> tried = true; changed(); remember()
            :: else /* a conflict: somebody else was quicker */
            fi }
       :: !redisUp /* out of time; the lease is still on the schedule */
       fi;
       d_step { forget(me); ended = false }
    od
  } unless { d_step { (crashed & me) != 0 -> crashed = crashed & (255 - me); forget(me); ended = false } };
  goto working
}

/* ===== revocation/due-sweep.ts: finds what is due, and hands it to a worker ============================================== */

/* Only after an attempt: while the target's clock may still be late, the broker's own revocation comes first. */
#define hasLapsed (tried && isPast(lapsesAt))

active proctype Sweep() {
end:
  do
  /* A lease that is due, or an intent that nobody confirmed. How long a mint may take is left open: the minter may be slow. */
  :: d_step { redisUp && (lease == INTENDED || (lease == ACTIVE && now >= dueAt)) -> write(REVOKING); remember() }
  :: d_step { redisUp && lease == REVOKING && hasLapsed -> write(LAPSED) }
  /* For how long it is claimed is left open too: two workers may have the same lease. */
  :: d_step { redisUp && isScheduled && !hasLapsed && !isCurrent(JOB) -> look(JOB) }
  od
}

/* ===== grant/declare-task.ts, mint-leases.ts, extend-task.ts: an agent declares, is granted, extends ===================== */

#ifdef MISTAKE_NO_HOLD
#define mayDeclare true
#else
#define mayDeclare (!inHold)
#endif
#ifdef MISTAKE_ACTIVATION_UNCHECKED
#define mayActivate true
#else
#define mayActivate (lease == INTENDED)
#endif
#ifdef MISTAKE_RENEWAL_NOT_INTENDED
inline intendRenewal() { changed() }
#else
inline intendRenewal() { lapsesAt = LATER_END; changed() } /* until the target has answered, the longest it can give counts */
#endif
#ifdef MISTAKE_RENEWAL_UNCHECKED
inline recordRenewal() { redisUp -> write(ACTIVE) }
#else
inline recordRenewal() { redisUp && isCurrent(API) -> changed() }
#endif

active proctype Api() {
  bool holds = false; /* the handle of what was minted, and its secret */
  {
#ifdef MISTAKE_MINT_BEFORE_RECORD
    mint = SENT;
    d_step { redisUp && mayDeclare -> write(INTENDED); dueAt = DUE };
#else
    d_step { redisUp && mayDeclare -> write(INTENDED); dueAt = DUE };
    if
    :: mint = SENT
    :: !targetUp -> goto failed
    fi;
#endif
    if
    :: mint == ANSWERED && targetUp -> holds = true
#ifdef MISTAKE_SILENCE_IS_FAILURE
    :: true -> goto failed
#else
    :: true -> goto undo /* no answer in time: it may have been minted all the same */
#endif
    fi;

    if
    :: atomic { redisUp && mayActivate ->
         hasty = hasty || inHold;
         write(ACTIVE); lapsesAt = END;
         if
         :: true
         :: faults > 0 -> faults--; goto undo /* it is written, but the answer is lost */
         fi }
    :: !redisUp || !mayActivate -> goto undo
    :: true -> goto undo /* all or nothing: another credential of the task was not minted */
    fi;

    d_step { redisUp && lease == ACTIVE && now < dueAt -> intendRenewal(); look(API); renewal = SENT };
    renewal == ANSWERED && credential == LIVE && targetUp;
    d_step { recordRenewal(); dueAt = LATER_DUE; lapsesAt = LATER_END };
    goto done;

failed: /* for certain: nothing was minted */
    atomic { redisUp && lease == INTENDED -> write(ABANDONED) };
    goto done;

undo: /* what the ledger cannot take on, the minter ends by itself; should it fail, the sweep or the reconciler will */
    if
    :: d_step { redisUp && mayStillEnd(lease) -> write(REVOKING); lapsesAt = (holds -> END : UNKNOWN); remember() }
    :: redisUp && lease == REVOKING
    :: d_step { !redisUp || isFinal(lease) || lease == ABSENT ->
         if
         :: holds && targetUp -> endAtTarget()
         :: else
         fi }
    fi;

done:
    skip
  } unless { (crashed & API) != 0 };
  d_step { forget(API); holds = false };
end:
  false /* who crashed here is not asked again: the caller has gone too */
}

/* ===== revocation/reconciler.ts: ends what is live at the target and in no record ======================================== */

/* A pass looks at what was live before it began. That is the least that a minimum age promises. */
#ifdef MISTAKE_NO_MINIMUM_AGE
#define isOldEnough (credential != DEAD)
#else
#define isOldEnough (credential == LIVE)
#endif
/* Its picture of the ledger may be as old as the pass: the code reads each record after the listing, but perhaps a replica. */
#ifdef FRESH_READS
#define hasNoRecord (lease == ABSENT)
#else
#define hasNoRecord (lease == ABSENT || wasAbsent)
#endif
#ifdef MISTAKE_ENDED_IS_BELIEVED
#define isOrphan hasNoRecord
#else
#define isOrphan (hasNoRecord || wasFinal)
#endif
#ifdef MISTAKE_NO_HOLD
#define isSpared false
#else
#define isSpared (inHold && now < ownDue)
#endif

active proctype Reconciler() {
  bool wasAbsent, wasFinal;
reconciling:
  {
end:
    do
    :: d_step { redisUp && targetUp && isOldEnough -> wasAbsent = (lease == ABSENT); wasFinal = isFinal(lease) };
       if
       :: d_step { redisUp && targetUp && credential == LIVE && isOrphan && !isSpared ->
            bereft = bereft || mayStillEnd(lease);
            hasty = hasty || (inHold && now < ownDue);
            endAtTarget() }
       :: else
       fi;
       d_step { wasAbsent = false; wasFinal = false }
    od
  } unless {
    d_step { (crashed & RECONCILER) != 0 -> crashed = crashed & (255 - RECONCILER); wasAbsent = false; wasFinal = false }
  };
  goto reconciling
}

#include "world.pml"
#include "properties.pml"
