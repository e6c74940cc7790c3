-- Gives what a holder has another time to live, if it is still this holder's.
--
-- KEYS[1] what is held   ARGV[1] holder   ARGV[2] time to live (ms)
--
-- Returns 1 when prolonged, 0 when it is somebody else's or nobody's.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
