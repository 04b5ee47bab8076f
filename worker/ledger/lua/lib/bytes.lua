-- Compare by bytes: Lua's own `<` follows the locale of the redis-server process.
local function compare_bytes(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y and -1 or 1 end
  end
  return #a - #b
end
