-- What a group has leased in one month: one hash, so that Redis forgets all of it or nothing.
--   epoch, opened     the random name of this memory, and when it began (ms)
--   life              the run of the server in which it began (its `run_id`), where the server tells one
--   was:<epoch>       an earlier memory that this one carries on, and how many calls that one had counted
--   restarted         another run of the server carries the memory on, perhaps from an older copy. Removed when every
--                     member has reported its leases again, or by the user's word.
--   rebuilt           a machine knew an earlier memory, or more calls of this one, so something was lost. Nothing shows
--                     whether all leases were reported again, so it stays until the user's word.
--   members           machine -> 1, or 0 for one that has not reported its leases to this memory
--   l:<lease>         nano-dollars; never rises
--   day:<start> month m:<machine> <machine>:<start>    sums of these
--   calls             calls of all machines; it only grows, so a copy that counts fewer than a machine was told is older
local K, A = KEYS[1], ARGV
local nonce, machine, known, fresh, mode = A[1], A[2], A[3], A[4], A[5]
local day, day_start, day_end, month_end = A[6], tonumber(A[6]), tonumber(A[7]), tonumber(A[8])
local id, least, slice = A[9], tonumber(A[10]), tonumber(A[11])
local day_limit, month_limit = tonumber(A[12]), tonumber(A[13])
local shares, others = tonumber(A[14]), tonumber(A[15])
local answered = tonumber(A[16])

local function text(x) return string.format('%.0f', x) end
local function field(name) return redis.call('HGET', K, name) end
local function number(name) return tonumber(field(name) or '0') end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local members = cjson.decode(field('members') or '{}')
local function reply(status, granted, epoch, low)
  return {nonce, status, text(granted), epoch, text(number('day:' .. day)), text(number('month')),
    text(number('m:' .. machine)), cjson.encode(members), low and '1' or '0',
    text(number(machine .. ':' .. day)), text(number('calls'))}
end

local epoch = field('epoch')
if mode == 'look' then return reply('ok', 0, epoch or '', false) end
-- Time servers correct up to ten minutes.
if now < day_start - 600000 or now >= day_end + 600000 then return reply('clock', 0, '', false) end
-- Asked inside the script, the answer comes from the node that holds this key.
local life = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''
local lived = field('life') or ''
local older = known == epoch and number('calls') < answered
if not epoch then
  epoch = fresh
  redis.call('HSET', K, 'epoch', fresh, 'opened', text(now), 'life', life)
  redis.call('PEXPIREAT', K, text(month_end + 3456000000))
elseif older or (life ~= '' and lived ~= '' and life ~= lived) then
  -- This is an older copy, or may be one. It gets a new name, so that every machine reports its leases again.
  for name in pairs(members) do members[name] = 0 end
  redis.call('HSET', K, 'epoch', fresh, 'opened', text(now), 'members', cjson.encode(members), 'life', life,
    'was:' .. epoch, text(number('calls')), older and 'rebuilt' or 'restarted', '1')
  epoch = fresh
end
local moved = known ~= '' and known ~= epoch
local counted = moved and field('was:' .. known)
if moved and (not counted or tonumber(counted) < answered) then
  redis.call('HSET', K, 'rebuilt', '1')
end
redis.call('HINCRBY', K, 'calls', 1)
if moved then
  if mode ~= 'again' then return reply('emptied', 0, epoch, false) end
  for i = 1, others do
    local name = A[16 + 3 * shares + i]
    if members[name] == nil then members[name] = 0 end
  end
end
if mode == 'accept' then
  redis.call('HDEL', K, 'rebuilt', 'restarted')
end
members[machine] = 1
redis.call('HSET', K, 'members', cjson.encode(members))

local function put(lease, amount, of_day)
  local old = tonumber(field('l:' .. lease) or nil)
  if old and amount >= old then return end
  local change = text(amount - (old or 0))
  redis.call('HSET', K, 'l:' .. lease, text(amount))
  redis.call('HINCRBY', K, 'day:' .. of_day, change)
  redis.call('HINCRBY', K, 'month', change)
  redis.call('HINCRBY', K, 'm:' .. machine, change)
  redis.call('HINCRBY', K, machine .. ':' .. of_day, change)
end
for i = 0, shares - 1 do put(A[17 + 3 * i], tonumber(A[18 + 3 * i]), A[19 + 3 * i]) end

local silent = false
for _, said in pairs(members) do silent = silent or said ~= 1 end
if not silent then redis.call('HDEL', K, 'restarted') end

local spent_day, spent_month = number('day:' .. day), number('month')
-- When little is left, a lease is no larger than needed, and nothing is leased ahead.
local low = (day_limit and (spent_day + least) * 4 > day_limit * 3)
  or (month_limit and (spent_month + least) * 4 > month_limit * 3)
if id == '' then return reply('ok', 0, epoch, low) end
local have = field('l:' .. id)
if have then return reply('ok', tonumber(have), epoch, low) end

-- The sums are complete for a day that began under this memory, but not for the month.
if month_limit or (day_limit and day_start < number('opened')) then
  if number('rebuilt') == 1 then return reply('forgotten', 0, epoch, true) end
  if number('restarted') == 1 then return reply('restarted', 0, epoch, true) end
end
if low and mode == 'ahead' then return reply('low', 0, epoch, true) end
if day_limit and spent_day + least > day_limit then return reply('day', 0, epoch, true) end
if month_limit and spent_month + least > month_limit then return reply('month', 0, epoch, true) end
local granted = low and least or math.max(least, slice)
put(id, granted, day)
return reply('ok', granted, epoch, low)
