-- Write down what became of calls.
-- ARGV  as in terms.lua, then as in settling.lua
-- Reply as in settling.lua

return settle_calls(12)
