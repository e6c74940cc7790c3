-- Reserves room under an agent's limit, in the agent's own shard. Idempotent by id: what is reserved already costs
-- nothing more, and gets its new time. What is reserved expires by itself, so a lost release costs room for minutes,
-- never for good.
--
-- KEYS[1] sorted set: what takes up room, by the time it is given back (ms)
-- KEYS[2] sorted set: the agent's grants of the last hour by time (ms); left out where these are not counted
-- ARGV[1] now (ms)   ARGV[2] limit
-- ARGV[3...] pairs of id and time (ms)
--
-- Returns {1, taken, grants of the last hour} when reserved (the counts are those before this request),
-- or {0, taken, grants} when there is no room; then nothing is written.
local now = tonumber(ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local taken = redis.call('ZCARD', KEYS[1])
local grants = 0
if KEYS[2] then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 3600000)
  grants = redis.call('ZCARD', KEYS[2])
end

local wanted = 0
for i = 3, #ARGV, 2 do
  if not redis.call('ZSCORE', KEYS[1], ARGV[i]) then wanted = wanted + 1 end
end
if taken + wanted > tonumber(ARGV[2]) then return { 0, taken, grants } end

for i = 3, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], ARGV[i + 1], ARGV[i])
  if KEYS[2] then redis.call('ZADD', KEYS[2], now, ARGV[i]) end
end
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
if last then redis.call('PEXPIREAT', KEYS[1], string.format('%d', tonumber(last) + 60000)) end
if KEYS[2] then redis.call('PEXPIREAT', KEYS[2], string.format('%d', now + 3660000)) end
return { 1, taken, grants }
