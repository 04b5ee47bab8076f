-- A login's attempts, packed into its own hash: a key for each would take several times the room of what it holds.
--
-- A is the newest piece, A0 to A29 are full ones, a ring: 200 attempts and more. A piece is no longer than 64 bytes, or
-- Redis would keep the whole hash unpacked. It is a byte, the A<number> that it becomes, and numbers in groups of seven
-- bits, lowest first, the eighth bit set where more follow. Of each attempt, newest first: claimed at, ms (the newest of
-- a piece since 1970, the others before the one that followed), 2 x revision + wish, ms that the call took + 1 (0: none
-- ended), its words.
--   nightly:words:<n>  what attempts of the n-th month have in common, as JSON -> its number, and number -> JSON; for
--                      four months, and an attempt is shown as long as its words are there
-- What goes beyond so many words, and the attempts of dead letters, are JSON in nightly:attempts:<reference>.

local PIECE_BYTES = 64
local MONTH, MOST_WORDS = 30 * DAY, 4096
local numbers = {} -- of words, as far as this script has met them

local function words_key(month) return 'nightly:words:' .. month end

local function packed(number)
  local text = ''
  while number >= 128 do
    text = text .. string.char(number % 128 + 128)
    number = math.floor(number / 128)
  end
  return text .. string.char(number)
end

-- The number of some words; nil where the month has too many.
local function number_of_words(month, words)
  local key = words_key(month)
  local name = key .. words
  if numbers[name] then return numbers[name] end
  local known = redis.call('HGET', key, words)
  if not known then
    known = redis.call('HLEN', key) / 2
    if known >= MOST_WORDS then return nil end
    redis.call('HSET', key, words, known, known, words)
    redis.call('PEXPIRE', key, 4 * MONTH)
  end
  numbers[name] = tonumber(known)
  return numbers[name]
end

local function as_json(at, revision, wish, took, words)
  local seconds = took > 0 and string.format(',"seconds":%.3f', (took - 1) / 1000) or ''
  local numbers = string.format('{"at":%.0f,"revision":%.0f,"wish":%s%s', at, revision, tostring(wish), seconds)
  return numbers .. (words == '{}' and '}' or ',' .. words:sub(2))
end

local function list_attempts(ref, texts)
  redis.call('RPUSH', attempts_key(ref), unpack(texts))
  redis.call('LTRIM', attempts_key(ref), -200, -1)
  redis.call('PEXPIRE', attempts_key(ref), 30 * DAY)
end

local function is_of_one_month(a, b) return math.floor(a / MONTH) == math.floor(b / MONTH) end

-- Write an attempt into the newest piece, or begin another: where that is full, of another month, or the clock was set
-- back.
local function write_attempt(ref, login, at, rest)
  local old, place = login.A, 0
  if old then
    local last, behind = read_number(old, 2)
    local older = last <= at and is_of_one_month(last, at) and packed(at - last) .. old:sub(behind)
    local longer = older and old:sub(1, 1) .. packed(at) .. rest .. older
    if longer and #longer <= PIECE_BYTES then
      login.A = longer
      redis.call('HSET', login_key(ref), 'A', longer)
      return
    end
    place = (string.byte(old) + 1) % PIECES
  end
  login.A = string.char(place) .. packed(at) .. rest
  if old then
    redis.call('HSET', login_key(ref), 'A' .. string.byte(old), old, 'A', login.A)
  else
    redis.call('HSET', login_key(ref), 'A', login.A)
  end
end

-- Keep one attempt: "<claimed at> <revision> <wish> <ms + 1> <words>", or JSON. Returns whether it is in the hash.
local function remember(ref, login, attempt)
  local at, revision, wish, took, words = attempt:match('^(%d+) (%d+) ([01]) (%d+) (.+)$')
  if not at then
    list_attempts(ref, { attempt })
    return false
  end
  at, revision, took = tonumber(at), tonumber(revision), tonumber(took)
  local number = number_of_words(math.floor(at / MONTH), words)
  if not number then
    list_attempts(ref, { as_json(at, revision, wish == '1', took, words) })
    return false
  end
  write_attempt(ref, login, at, packed(2 * revision + tonumber(wish)) .. packed(took) .. packed(number))
  login.is_numbered_by_history = whole(at) == login.k
  return true
end

-- Add the attempts of one piece, as JSON, to those found so far.
local function read_piece(piece, found)
  local at, before, revision, took, number
  local place = 2
  while place <= #piece do
    before, place = read_number(piece, place)
    revision, place = read_number(piece, place)
    took, place = read_number(piece, place)
    number, place = read_number(piece, place)
    at = at and at - before or before
    local words = redis.call('HGET', words_key(math.floor(at / MONTH)), number)
    if words then
      local json = as_json(at, math.floor(revision / 2), revision % 2 == 1, took, words)
      found[#found + 1] = { at = at, json = json }
    end
  end
end

-- A dead letter's attempts are kept as long as the letter, longer than their words: they move to a key of their own.
local function file_history(ref, login)
  if login.A then
    local fields, found, texts = attempt_fields(), {}, {}
    for _, piece in ipairs(redis.call('HMGET', login_key(ref), unpack(fields))) do
      if piece then read_piece(piece, found) end
    end
    table.sort(found, function(a, b) return a.at < b.at end)
    for at, attempt in ipairs(found) do texts[at] = attempt.json end
    if #texts > 0 then list_attempts(ref, texts) end
    redis.call('HDEL', login_key(ref), unpack(fields))
    login.A = nil
  end
  redis.call('PERSIST', attempts_key(ref))
end
