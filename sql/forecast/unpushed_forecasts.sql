-- Forecasts of the last dates that are over everywhere, of the users who got no push on the date: forecasts are of visits
-- without pushes, so only these show how good they were. Users count whose push was withheld at random (arm no_push) and
-- users to whom nothing was sent, but not those who opted out. Of a date on which pushes were sent and none was withheld
-- at random, nobody counts: the users without a push are then those whom a rule barred.

SELECT visit_forecasts.*
FROM "${database}".visit_forecasts
LEFT JOIN (
    SELECT user_id, dt
    FROM "${database}".sends
    WHERE dt BETWEEN '${closed_starts}' AND '${closed_ends}' AND (withheld IS NULL OR withheld <> 'no_push')
    GROUP BY user_id, dt
) AS pushed ON pushed.user_id = visit_forecasts.user_id AND pushed.dt = visit_forecasts.dt
LEFT JOIN (
    SELECT dt
    FROM "${database}".sends
    WHERE dt BETWEEN '${closed_starts}' AND '${closed_ends}'
    GROUP BY dt
    HAVING count(CASE WHEN withheld = 'no_push' THEN 1 END) = 0
) AS without_control ON without_control.dt = visit_forecasts.dt
WHERE visit_forecasts.dt BETWEEN '${closed_starts}' AND '${closed_ends}'
    AND pushed.user_id IS NULL
    AND without_control.dt IS NULL
