-- Takes a shard's audit stream for a sealer, unless a newer one has it.
--
-- KEYS[1] fencing token of the newest sealer of the shard
-- ARGV[1] this sealer's fencing token
--
-- Returns 1 when taken, 0 when a newer sealer has it.
local newest = tonumber(redis.call('GET', KEYS[1]) or 0)
if newest > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1
