import { createHash } from 'node:crypto'

/** A Lua script, sent by its hash. It runs alone in Redis: nothing else happens between its first line and its last. */
export interface RedisScript {
  readonly lua: string
  readonly sha: string
}

function script(lua: string): RedisScript {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') }
}

/** Records of a feature's other versions are let go when they are this much older than what is written: no rolling deploy takes so long. */
const ABANDONED_AFTER_MICROS = '604800000000'

/**
 * Compare-and-set of many values. KEYS: one hash a write. ARGV: eight texts a write: bucket, head of the record, event time, available time,
 * sequence number, body of the record, what records of the feature's other versions begin with, and the sequence number that the writer takes to be stored,
 * or the letter of the origin that what is stored is known to have if nothing is to be told of it, or an empty text. Returns two lists: refusals, three texts each (the write's place from 1; the fence that refused it or an empty text; the
 * body of the record that stands there when the writer did not know of it, or an empty text), and places of writes that replaced what the
 * writer did not know of.
 */
export const WRITE = script(`
local refused, over = {}, {}
for i = 1, #KEYS do
  local a = (i - 1) * 8
  local bucket, head, eventAt, body = ARGV[a + 1], ARGV[a + 2], tonumber(ARGV[a + 3]), ARGV[a + 6]
  local stored = redis.call('HMGET', KEYS[i], bucket, 'fence')
  local text, fence = stored[1] or '', stored[2]
  if fence and eventAt <= tonumber(fence) then
    refused[#refused + 1] = i
    refused[#refused + 1] = fence
    refused[#refused + 1] = ''
  else
    local from, headEnd = string.find(text, head, 1, true)
    local isNewer, standing, isStrange = true, '', false
    if from then
      local _, last, e, v, t = string.find(text, '^(%-?%d+)\\31(%-?%d+)\\31(%-?%d+)', headEnd + 1)
      local known = ARGV[a + 8]
      local oldEvent = tonumber(e)
      local oldAvailable = oldEvent + tonumber(v)
      local oldToken = oldAvailable + tonumber(t)
      local availableAt = tonumber(ARGV[a + 4])
      if eventAt ~= oldEvent then isNewer = eventAt > oldEvent
      elseif availableAt ~= oldAvailable then isNewer = availableAt > oldAvailable
      else isNewer = tonumber(ARGV[a + 5]) >= oldToken end
      local nextFrom = string.find(text, '\\30', last + 1, true)
      if tonumber(known) then isStrange = tonumber(known) ~= oldToken
      elseif known ~= '' then isStrange = string.sub(text, last + 2, last + 2) ~= known end
      if not isNewer and isStrange then standing = string.sub(text, headEnd + 1, nextFrom and nextFrom - 1 or -1) end
      if isNewer then
        text = string.sub(text, 1, from - 1) .. (nextFrom and string.sub(text, nextFrom) or '')
      end
    else
      local versions, at = ARGV[a + 7], 1
      while true do
        local other = string.find(text, versions, at, true)
        if not other then break end
        local nextFrom = string.find(text, '\\30', other + 1, true)
        local otherEvent = tonumber(string.match(text, '^[^\\31]*\\31(%-?%d+)', other))
        if otherEvent and otherEvent < eventAt - ${ABANDONED_AFTER_MICROS} then
          text = string.sub(text, 1, other - 1) .. (nextFrom and string.sub(text, nextFrom) or '')
          at = other
        else
          at = other + 1
        end
      end
    end
    if isNewer then
      redis.call('HSET', KEYS[i], bucket, text .. head .. body)
      if isStrange then over[#over + 1] = i end
    else
      refused[#refused + 1] = i
      refused[#refused + 1] = ''
      refused[#refused + 1] = standing
    end
  end
end
return { refused, over }
`)

/** Forget KEYS[1] up to the time ARGV[1], behind a fence that never moves back. Returns how many values went. */
export const FORGET = script(`
local all = redis.call('HGETALL', KEYS[1])
local count, fence = 0, tonumber(ARGV[1])
for i = 1, #all, 2 do
  if all[i] == 'fence' then
    if tonumber(all[i + 1]) > fence then fence = tonumber(all[i + 1]) end
  else
    local _, records = string.gsub(all[i + 1], '\\30', '')
    count = count + records
  end
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'fence', string.format('%.0f', fence))
return count
`)

/** Put fences back: of each of KEYS, what is not later than the time of the same place in ARGV goes. A fence never moves back. */
export const RESTORE_ERASURES = script(`
for i = 1, #KEYS do
  local all, at, fence = redis.call('HGETALL', KEYS[i]), tonumber(ARGV[i]), nil
  for f = 1, #all, 2 do
    if all[f] == 'fence' then fence = tonumber(all[f + 1]) end
  end
  if not fence or fence < at then
    for f = 1, #all, 2 do
      if all[f] ~= 'fence' then
        local kept = string.gsub(all[f + 1], '\\30[^\\30]*', function(record)
          local eventAt = tonumber(string.match(record, '^[^\\31]*\\31(%-?%d+)'))
          if eventAt and eventAt <= at then return '' end
        end)
        if kept == '' then redis.call('HDEL', KEYS[i], all[f])
        elseif kept ~= all[f + 1] then redis.call('HSET', KEYS[i], all[f], kept) end
      end
    end
    redis.call('HSET', KEYS[i], 'fence', string.format('%.0f', at))
  end
end
return 0
`)

/** Of each of KEYS the record goes that ARGV tells, after the name of its bucket, if it stands there as it was. Returns how many went. */
export const REMOVE = script(`
local gone = 0
for i = 1, #KEYS do
  local bucket, record = ARGV[2 * i - 1], ARGV[2 * i]
  local text = redis.call('HGET', KEYS[i], bucket) or ''
  local from, last = string.find(text, record, 1, true)
  if from and (last == #text or string.byte(text, last + 1) == 30) then
    text = string.sub(text, 1, from - 1) .. string.sub(text, last + 1)
    if text == '' then redis.call('HDEL', KEYS[i], bucket) else redis.call('HSET', KEYS[i], bucket, text) end
    gone = gone + 1
  end
end
return gone
`)

/** Whether writes are taken: one more is counted beside the mark KEYS[1]. */
export const PROBE = script(`
return redis.call('HINCRBY', KEYS[1], 'probes', 1)
`)

/** ARGV[1] is about to bring back what the place of the mark KEYS[1] has lost. */
export const BEGIN_MARK = script(`
redis.call('HSET', KEYS[1], 'filling', ARGV[1])
return 1
`)

/** ARGV[1] has brought everything back, and nothing was lost since it began: then the mark says ARGV[2]. Returns 1 or 0. */
export const END_MARK = script(`
if redis.call('HGET', KEYS[1], 'filling') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'filling')
redis.call('HSET', KEYS[1], 'mark', ARGV[2])
return 1
`)

/** Members of the sorted set KEYS[1] whose score is below ARGV[1] go, ARGV[2] of them at most. */
export const DROP_OLD = script(`
local old = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[1], 'LIMIT', 0, ARGV[2])
if #old > 0 then redis.call('ZREM', KEYS[1], unpack(old)) end
return #old
`)

/** Terms are numbered by Redis's own clock in microseconds, so that numbers rise even over a Redis that lost its data. */
export const ACQUIRE_LEASE = script(`
if redis.call('EXISTS', KEYS[1]) == 1 then return false end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
local token = string.format('%.0f', math.max(now, last + 1))
redis.call('SET', KEYS[1], token, 'PX', ARGV[1])
redis.call('SET', KEYS[2], token)
return token
`)

export const RENEW_LEASE = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`)

export const RELEASE_LEASE = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
`)

/**
 * ARGV: who claims, for how many milliseconds. A claim that was let go is an empty text for a moment. Returns for each of KEYS 0 where another has
 * it, 1, or 2 where another let go of it in that moment.
 */
export const CLAIM = script(`
local answers = {}
for i = 1, #KEYS do
  local holder = redis.call('GET', KEYS[i])
  if holder and holder ~= '' then answers[i] = 0
  else
    redis.call('SET', KEYS[i], ARGV[1], 'PX', ARGV[2])
    answers[i] = holder and 2 or 1
  end
end
return answers
`)

/** Returns 1 or 0 for each of KEYS. */
export const CLAIMED = script(`
local answers = {}
for i = 1, #KEYS do
  local holder = redis.call('GET', KEYS[i])
  answers[i] = holder and holder ~= '' and 1 or 0
end
return answers
`)

export const EXTEND_CLAIM = script(`
local answers = {}
for i = 1, #KEYS do
  answers[i] = redis.call('GET', KEYS[i]) == ARGV[1] and redis.call('PEXPIRE', KEYS[i], ARGV[2]) or 0
end
return answers
`)

/** ARGV: who lets go, and for how many milliseconds that is to be seen. A full Redis takes no new text: then it is not seen. */
export const RELEASE_CLAIM = script(`
for i = 1, #KEYS do
  if redis.call('GET', KEYS[i]) == ARGV[1] then
    redis.call('DEL', KEYS[i])
    redis.pcall('SET', KEYS[i], '', 'PX', ARGV[2])
  end
end
return {}
`)
