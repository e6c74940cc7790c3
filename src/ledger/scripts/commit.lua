-- One atomic step of the ledger: compare generations, write records, move indexes, append audit events. All or nothing.
--
-- KEYS[1]  stream of audit events of the shard
-- KEYS[2]  counter of those events, so that a deleted one leaves a gap
-- KEYS[3+] records and indexes; ARGV names them by their position in KEYS
-- ARGV[1]  JSON:
--   now_ms            the caller's clock, milliseconds since the epoch
--   max_skew_ms       refuse when now_ms is further than this from Redis TIME; 0: do not look
--   max_audit_lag_ms  refuse when the oldest unsealed event is older than this; 0: do not look
--   expect            list of [position, generation]; generation 0: the record must not exist
--   write             list of [command, position, argument...], run in order
--   events            list of [json, mac], appended in order
--   tally             list of [command, position, argument...]: counts for people, run last; what fails hinders nothing
--   count             list of positions of sets whose size is wanted after the writes
--
-- Returns {'ok', size...} after writing; otherwise writes nothing and returns
--   {'conflict', position}     a record is not at the expected generation
--   {'clock_skewed', ms}       by how much the clocks disagree
--   {'audit_behind', ms}       age of the oldest unsealed event
local step = cjson.decode(ARGV[1])

local time = redis.call('TIME')
local redis_ms = time[1] * 1000 + math.floor(time[2] / 1000)

if step.max_skew_ms > 0 then
  local skew = step.now_ms - redis_ms
  if math.abs(skew) > step.max_skew_ms then return { 'clock_skewed', tostring(skew) } end
end

if step.max_audit_lag_ms > 0 then
  local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  if oldest then
    local age = redis_ms - tonumber(string.match(oldest[1], '^(%d+)'))
    if age > step.max_audit_lag_ms then return { 'audit_behind', tostring(age) } end
  end
end

for _, want in ipairs(step.expect) do
  local generation = redis.call('HGET', KEYS[want[1]], 'generation')
  if tonumber(generation or 0) ~= want[2] then return { 'conflict', tostring(want[1]) } end
end

for _, command in ipairs(step.write) do
  redis.call(command[1], KEYS[command[2]], unpack(command, 3))
end

for _, event in ipairs(step.events) do
  local number = redis.call('INCR', KEYS[2])
  redis.call('XADD', KEYS[1], '*', 'e', event[1], 'm', event[2], 'n', number)
end

for _, command in ipairs(step.tally) do
  redis.pcall(command[1], KEYS[command[2]], unpack(command, 3))
end

local answer = { 'ok' }
for _, position in ipairs(step.count) do
  answer[#answer + 1] = redis.call('SCARD', KEYS[position])
end
return answer
