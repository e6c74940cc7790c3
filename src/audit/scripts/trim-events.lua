-- Forgets events that are in the audit file, if this sealer still has the shard.
--
-- KEYS[1] stream of events   KEYS[2] fencing token of the newest sealer of the shard
-- ARGV[1] this sealer's fencing token   ARGV[2...] ids of the sealed entries
--
-- Returns how many were removed, or -1 when a newer sealer has the shard; then nothing is removed.
if tonumber(redis.call('GET', KEYS[2]) or 0) > tonumber(ARGV[1]) then return -1 end
return redis.call('XDEL', KEYS[1], unpack(ARGV, 2))
