-- What came of a campaign's sends on the last dates that are over everywhere: pushes that were handed over, and those that
-- were withheld at random. From it the plan judges other policies than its own. Of more than a million sends, those of
-- the users with the lowest hashes.

UNLOAD (
    SELECT
        sent.user_id,
        sent.dt,
        sent.send_hour,
        sent.withheld,
        sent.propensity,
        sent.possible_hours,
        sent.visit_probability,
        any_value(forecast.visit_hour) AS visit_hour,
        -- A visit within a day of the send, or of the instant at which it would have been.
        max(CASE WHEN visit.event_time IS NULL THEN 0 ELSE 1 END) AS visited
    FROM (
        SELECT user_id, dt, send_hour, send_at_utc, withheld, propensity, possible_hours, visit_probability
        FROM "${database}".sends
        WHERE dt BETWEEN '${closed_starts}' AND '${closed_ends}'
            AND campaign = '${campaign}'
            AND (withheld IS NULL OR withheld = 'no_push')
            AND date_add('hour', 24, send_at_utc) <= TIMESTAMP '${as_of}'
        ORDER BY crc32(to_utf8(user_id)), user_id, dt
        LIMIT 1000000
    ) AS sent
    INNER JOIN "${database}".visit_forecasts AS forecast
        ON forecast.user_id = sent.user_id AND forecast.dt = sent.dt
    LEFT JOIN ${events} AS visit
        ON visit.user_id = sent.user_id
        AND visit.event_time >= sent.send_at_utc
        AND visit.event_time < date_add('hour', 24, sent.send_at_utc)
        AND visit.dt BETWEEN '${closed_starts_minus_1}' AND '${as_of_date}'
    GROUP BY 1, 2, 3, 4, 5, 6, 7
)
TO '${destination}'
WITH (format = 'PARQUET', compression = 'SNAPPY')
