-- Takes due leases out of the sweep for a while, so that one worker gets each. Should that worker vanish, they are
-- due again by themselves.
--
-- KEYS[1] sorted set of what must be looked at, by time (ms)
-- ARGV[1] now (ms)   ARGV[2] until when they are taken (ms)   ARGV[3...] ids
--
-- Returns the ids that were due and are now taken; those that another sweep took first are missing.
local taken = {}
for i = 3, #ARGV do
  local at = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if at and tonumber(at) <= tonumber(ARGV[1]) then
    redis.call('ZADD', KEYS[1], ARGV[2], ARGV[i])
    taken[#taken + 1] = ARGV[i]
  end
end
return taken
