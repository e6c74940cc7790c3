-- Reserves room for new leases under an agent's limit, in the agent's own shard. Idempotent by lease id; what is
-- reserved expires by itself at its due time, so a lost release costs room for minutes, never for good.
--
-- KEYS[1] sorted set: the agent's live leases by due time (ms)
-- KEYS[2] sorted set: the agent's grants of the last hour by time (ms)
-- ARGV[1] now (ms)   ARGV[2] limit of live leases
-- ARGV[3...] pairs of lease id and due time (ms)
--
-- Returns {1, live, grants of the last hour} when reserved (the counts are those before this request),
-- or {0, live, grants} when there is no room; then nothing is written.
local now = tonumber(ARGV[1])
local hour_ago = now - 3600000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', hour_ago)
local live = redis.call('ZCARD', KEYS[1])
local grants = redis.call('ZCARD', KEYS[2])
local wanted = (#ARGV - 2) / 2
if live + wanted > tonumber(ARGV[2]) then return { 0, live, grants } end
local last_due = now
for i = 3, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], ARGV[i + 1], ARGV[i])
  redis.call('ZADD', KEYS[2], now, ARGV[i])
  last_due = math.max(last_due, tonumber(ARGV[i + 1]))
end
redis.call('PEXPIREAT', KEYS[1], string.format('%d', last_due + 60000))
redis.call('PEXPIREAT', KEYS[2], string.format('%d', now + 3660000))
return { 1, live, grants }
