-- events table -> one row of counts, by which get_query_execution refuses events that cannot be used: as visits they would
-- look like any others.

SELECT
    count(*) AS "rows",
    count_if(event_time IS NULL) AS without_time,
    -- The rule of visitcast.data.identifiers.
    count_if(NOT coalesce(
        length(user_id) <= 256 AND regexp_like(user_id, '[^\p{Z}\p{Cc}]') AND NOT regexp_like(user_id, '\p{Cc}'), false
    )) AS unidentified,
    count_if(event_time < TIMESTAMP '1990-01-01 00:00:00') AS ancient,
    count_if(event_time > date_add('day', 1, CAST(current_timestamp AS timestamp))) AS future,
    -- At midnight, of UTC or of the user.
    count_if(
        event_time = date_trunc('day', event_time)
        OR date_add('minute', utc_offset_minutes, event_time)
        = date_trunc('day', date_add('minute', utc_offset_minutes, event_time))
    ) AS midnight,
    count_if(utc_offset_minutes IS NULL OR utc_offset_minutes NOT BETWEEN -720 AND 840) AS impossible_offsets,
    count_if(utc_offset_minutes = 0) AS zero_offsets,
    -- No zone is a few minutes off UTC: these are hours.
    count_if(utc_offset_minutes <> 0 AND utc_offset_minutes BETWEEN -14 AND 14) AS tiny_offsets,
    count_if(page_type IS NULL OR page_type NOT BETWEEN 1 AND 4) AS unknown_page_types
FROM ${events}
