-- Say how many more backfill rows the lane of an instance takes now.
-- ARGV  1 now (ms or ''), 2 instance

local now, instance = clock(ARGV[1]), ARGV[2]
learn_pace(instance, now)
return (lane_room(instance, now))
