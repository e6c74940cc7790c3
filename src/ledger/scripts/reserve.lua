-- Reserves room under an agent's limit, in the agent's own shard, and tells its counters. Idempotent by id: what is
-- reserved already costs nothing more, and gets its new time. What is reserved expires by itself, so a lost release costs
-- room for minutes, never for good. Being one step, no two requests see the same counters.
--
-- KEYS[1] sorted set: what takes up room, by the time it is given back (ms)
-- KEYS[2] sorted set: the agent's grants of the last hour by time (ms); this and what follows left out where not counted
-- KEYS[3] sorted set: those of one purpose
-- KEYS[4] string: denials since the last permit
-- ARGV[1] now (ms)   ARGV[2] limit
-- ARGV[3...] pairs of id and time (ms)
--
-- Returns {1, taken, grants of the last hour, those of the purpose, denials} when reserved (the counts are those before
-- this request), or the same with 0 in front when there is no room; then nothing is written.
local now = tonumber(ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local counts = { redis.call('ZCARD', KEYS[1]), 0, 0, 0 }
for i = 2, math.min(#KEYS, 3) do
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now - 3600000)
  counts[i] = redis.call('ZCARD', KEYS[i])
end
if KEYS[4] then counts[4] = tonumber(redis.call('GET', KEYS[4]) or 0) end

local wanted = 0
for i = 3, #ARGV, 2 do
  if not redis.call('ZSCORE', KEYS[1], ARGV[i]) then wanted = wanted + 1 end
end
if counts[1] + wanted > tonumber(ARGV[2]) then return { 0, unpack(counts) } end

for i = 3, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], ARGV[i + 1], ARGV[i])
  for k = 2, math.min(#KEYS, 3) do redis.call('ZADD', KEYS[k], now, ARGV[i]) end
end
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
if last then redis.call('PEXPIREAT', KEYS[1], string.format('%d', tonumber(last) + 60000)) end
for k = 2, math.min(#KEYS, 3) do redis.call('PEXPIREAT', KEYS[k], string.format('%d', now + 3660000)) end
return { 1, unpack(counts) }
