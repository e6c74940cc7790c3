-- Reserves a place among what falls due at one provider, so that no more falls due in any window of time than can be
-- revoked in it. Idempotent by id: what is reserved already gets its new time. What is forgotten here frees itself an hour
-- after it was due.
--
-- KEYS[1] sorted set: leases by the instant they are due (ms)
-- ARGV[1] now (ms)   ARGV[2] leases that a window takes   ARGV[3] length of a window (ms)
-- ARGV[4...] pairs of id and due time (ms)
--
-- Returns 1 when reserved, or 0 when a window has no room; then nothing is written.
local now = tonumber(ARGV[1])
local limit = tonumber(ARGV[2])
local window = tonumber(ARGV[3])
local kept = 3600000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - kept)

local taken = {}
for i = 4, #ARGV, 2 do
  local due = tonumber(ARGV[i + 1])
  local start = due - due % window
  if not taken[start] then taken[start] = redis.call('ZCOUNT', KEYS[1], start, start + window - 1) end
  local standing = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if not (standing and tonumber(standing) >= start and tonumber(standing) < start + window) then taken[start] = taken[start] + 1 end
  if taken[start] > limit then return 0 end
end

for i = 4, #ARGV, 2 do redis.call('ZADD', KEYS[1], ARGV[i + 1], ARGV[i]) end
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
if last then redis.call('PEXPIREAT', KEYS[1], string.format('%d', tonumber(last) + kept)) end
return 1
