-- How many more rows of backfills the lane of an instance takes now.
-- ARGV  now (ms or ''), instance

return (lane_room(ARGV[2], clock(ARGV[1])))
