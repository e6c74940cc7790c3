/* What comes by itself in the end, and what may come at any moment. */

active proctype World() {
end:
  do
  :: d_step { targetUp && mint == SENT -> mint = ANSWERED; mintedLate = (lease != INTENDED); credential = LIVE; endsAt = END }
  :: d_step { targetUp && renewal == SENT ->
       renewal = ANSWERED;
       if
       :: credential == LIVE -> endsAt = LATER_END
       :: else /* gone stays gone */
       fi }
  /* What is on its way to a target that is away may arrive later, or never. */
  :: d_step { !targetUp && mint == SENT -> mint = UNSENT }
  :: d_step { !targetUp && renewal == SENT -> renewal = UNSENT }

  :: d_step { credential != UNBORN && now < LAST_INSTANT ->
       now++;
       if
       :: credential == LIVE && isPast(endsAt) -> credential = DEAD
       :: else
       fi }

  :: !targetUp -> targetUp = true
  :: !redisUp -> redisUp = true
  :: inHold -> released = true /* an admin says so, or the longest ceiling is over */
  od
}

/* At most this many faults in one run, of any kind. */
#ifndef FAULTS
#define FAULTS 2
#endif

active proctype Chance() {
  select (faults : 0 .. FAULTS);
end:
  do
  :: d_step { redisUp && mayStillEnd(lease) -> write(REVOKING); remember() } /* ledger/ending.ts: its agent or an operator ends it */
  :: atomic { faults > 0 -> faults--;
       if
       :: targetUp -> targetUp = false
       :: redisUp -> redisUp = false
       :: d_step { !wiped && lease != ABSENT -> wiped = true;
            lease = ABSENT; dueAt = UNKNOWN; lapsesAt = UNKNOWN; tried = false; changed() }
       :: crashed = crashed | API
       :: crashed = crashed | WORKERS_ALL | RECONCILER
       fi }
  od
}
