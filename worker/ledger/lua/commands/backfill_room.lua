-- How many more rows of backfills the lane of an instance takes now.
-- ARGV  now (ms or ''), instance

local now, instance = clock(ARGV[1]), ARGV[2]
learn_pace(instance, now)
return (lane_room(instance, now))
