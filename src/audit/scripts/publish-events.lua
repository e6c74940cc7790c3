-- Appends sealed events to the feed: one call for a whole batch, since each command of its own costs the sealer more than
-- the event itself.
--
-- KEYS[1] stream of the feed
-- ARGV[1] entries to keep, about   ARGV[2...] for each event: id, content, MAC
--
-- Fails at the first id that is not higher than the newest; what came before it is written.
for i = 2, #ARGV, 3 do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], ARGV[i], 'c', ARGV[i + 1], 'm', ARGV[i + 2])
end
return redis.status_reply('OK')
