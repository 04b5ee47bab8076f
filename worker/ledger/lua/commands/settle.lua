-- Write down what became of calls.
-- ARGV  as in terms.lua, then as in settle.lua
-- Reply as in settle.lua

return settle_calls(12)
