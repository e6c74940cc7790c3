-- Takes events of the feed over for one webhook and moves its cursor past them, in one step: a crash loses none and repeats none.
--
-- KEYS[1] cursor of the webhook   KEYS[2] its deliveries by when each is due   KEYS[3] their sealed events
-- ARGV[1] the cursor as it was read   ARGV[2] the new one   ARGV[3] now, ms   ARGV[4...] for each event: id, sealed event
--
-- Answers 1, or 0 where somebody else moved the cursor meanwhile: then nothing is changed.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
for i = 4, #ARGV, 2 do
  redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
  -- A thousandth apart: what came first is sent first.
  redis.call('ZADD', KEYS[2], ARGV[3] - 1 + (i - 4) / 2000, ARGV[i])
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
