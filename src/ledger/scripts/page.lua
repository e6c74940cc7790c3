-- What comes next in a sorted set after a place in it, members of the same score in the order of their names. Nothing is
-- written, and however many members share a score, none is passed over.
--
-- KEYS[1] sorted set
-- ARGV[1] 1: lowest first, -1: highest first
-- ARGV[2] score of the place (empty: from the beginning)   ARGV[3] member of the place; it need not be there any more
-- ARGV[4] how many
--
-- Returns members and scores in turn.
local key = KEYS[1]
local forward = ARGV[1] == '1'
local count = tonumber(ARGV[4])

local function range(from, to)
  if forward then return redis.call('ZRANGE', key, from, to, 'WITHSCORES') end
  return redis.call('ZRANGE', key, from, to, 'REV', 'WITHSCORES')
end

if ARGV[2] == '' then return range(0, count - 1) end

-- Members of the score itself stand from `low` on: look among them for the first behind the place.
local low = forward and redis.call('ZCOUNT', key, '-inf', '(' .. ARGV[2]) or redis.call('ZCOUNT', key, '(' .. ARGV[2], '+inf')
local high = low + redis.call('ZCOUNT', key, ARGV[2], ARGV[2])
while low < high do
  local middle = math.floor((low + high) / 2)
  local member = range(middle, middle)[1]
  local behind = forward and member > ARGV[3] or not forward and member < ARGV[3]
  if behind then high = middle else low = middle + 1 end
end
return range(low, low + count - 1)
