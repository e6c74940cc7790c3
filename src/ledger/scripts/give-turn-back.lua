-- Ends a turn, if it is still this holder's.
--
-- KEYS[1] the turn   ARGV[1] holder
--
-- Returns 1 when it was ended, 0 when it is somebody else's or nobody's.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
