-- events, sends -> events: without the visits that pushes caused, as well as one can know. Otherwise the model would learn
-- its own pushes as the users' habits.
--
-- A session that begins within an hour of a push was caused by it, or the user would have come anyway. The sends that
-- were withheld at random (arm no_push) show how many come anyway: some multiple of the chance that was forecast. So a
-- push with a session keeps it with the probability that it came anyway; by a hash, so that a rerun agrees. Without sends,
-- or without withheld ones, all events are kept.

WITH timed AS (
    SELECT
        *,
        lag(event_time) OVER (PARTITION BY user_id ORDER BY event_time) AS previous_time
    FROM events
),

in_sessions AS (
    SELECT
        *,
        -- As in visits.sql, a gap of more than 30 minutes ends a session.
        max(
            CASE WHEN previous_time IS NULL OR date_diff('second', previous_time, event_time) > 1800 THEN event_time END
        ) OVER (PARTITION BY user_id ORDER BY event_time) AS session_start
    FROM timed
),

sessions AS (
    SELECT
        user_id,
        session_start,
        -- By the offset of the first event; of several at one instant the smallest, so that a rerun agrees.
        CAST(
            CAST(
                date_add(
                    'minute', min(CASE WHEN event_time = session_start THEN utc_offset_minutes END), session_start
                ) AS date
            ) AS varchar
        ) AS start_date
    FROM in_sessions
    GROUP BY user_id, session_start
),

-- Sessions are joined by date, since a join by time alone would compare all sessions of a user with all sends: sessions
-- past midnight do not count as answers.
followed AS (
    SELECT
        sends.idempotency_key,
        sends.user_id,
        sends.dt,
        sends.send_at_utc,
        sends.withheld IS NOT NULL AS is_withheld,
        CAST(sends.chance AS double) AS chance,
        CAST(sends.visit_probability AS double) AS visit_probability,
        count(
            CASE
                WHEN sessions.session_start >= sends.send_at_utc
                    AND sessions.session_start < date_add('hour', 1, sends.send_at_utc) THEN 1
            END
        ) AS answers,
        count(CASE WHEN sessions.session_start < sends.send_at_utc THEN 1 END) AS earlier,
        count(sessions.session_start) AS sessions
    FROM sends
    LEFT JOIN sessions ON sessions.user_id = sends.user_id AND sessions.start_date = sends.dt
    WHERE sends.chance IS NOT NULL AND (sends.withheld IS NULL OR sends.withheld = 'no_push')
    GROUP BY 1, 2, 3, 4, 5, 6, 7
),

-- other_visits: 2 if the user came earlier on the date, 1 if only later, else 0. Those who came would have come in the
-- hour of the send too with the chance of that hour on a day with a visit.
judged AS (
    SELECT
        *,
        CASE WHEN earlier > 0 THEN 2 WHEN sessions > answers THEN 1 ELSE 0 END AS other_visits,
        CASE WHEN answers > 0 THEN 1 ELSE 0 END AS answered,
        greatest(
            least(
                -- Answers have six decimals, so that a small probability is 0.
                CASE WHEN sessions > answers THEN chance / greatest(visit_probability, 1e-6) ELSE chance END, 0.999
            ),
            0.0001
        ) AS own_chance
    FROM followed
),

-- Groups of sends whose chances are alike: their log odds differ by less than a half.
counted AS (
    SELECT
        other_visits,
        CAST(floor(2 * ln(own_chance / (1 - own_chance))) AS integer) AS odds,
        sum(CASE WHEN is_withheld THEN 1 ELSE 0 END) AS withheld,
        sum(CASE WHEN is_withheld THEN answered ELSE 0 END) AS withheld_answered,
        sum(CASE WHEN is_withheld THEN own_chance ELSE 0 END) AS withheld_chance,
        sum(CASE WHEN is_withheld THEN 0 ELSE 1 END) AS pushed,
        sum(CASE WHEN is_withheld THEN 0 ELSE answered END) AS pushed_answered,
        sum(CASE WHEN is_withheld THEN 0 ELSE own_chance END) AS pushed_chance
    FROM judged
    GROUP BY 1, 2
),

-- How many times its chance a withheld send is answered. Ten answers are added that are as frequent as to pushes: with few
-- withheld sends, pushes cause little.
of_all AS (
    SELECT
        (sum(withheld_answered) + 10) / (
            sum(withheld_chance) + 10 * sum(pushed_chance) / nullif(sum(pushed_answered), 0)
        ) AS times
    FROM counted
),

-- The same by other visits, where ten answers as frequent as those to all withheld sends are added.
anyway AS (
    SELECT
        counted.other_visits,
        (sum(withheld_answered) + 10) / (sum(withheld_chance) + 10 / of_all.times) AS times
    FROM counted
    CROSS JOIN of_all
    GROUP BY counted.other_visits, of_all.times
    HAVING sum(withheld) > 0 AND sum(pushed_answered) > 0
),

-- The multiple of the chance counts as much as 50 withheld sends of the group.
kept AS (
    SELECT
        counted.other_visits,
        counted.odds,
        (withheld_answered + 50 * times * pushed_chance / pushed) / (withheld + 50) * pushed / pushed_answered AS share
    FROM counted
    INNER JOIN anyway ON anyway.other_visits = counted.other_visits
    WHERE pushed_answered > 0
),

caused AS (
    SELECT DISTINCT sessions.user_id, sessions.session_start
    FROM judged
    INNER JOIN kept
        ON kept.other_visits = judged.other_visits
        AND kept.odds = CAST(floor(2 * ln(own_chance / (1 - own_chance))) AS integer)
    INNER JOIN sessions
        ON sessions.user_id = judged.user_id
        AND sessions.start_date = judged.dt
        AND sessions.session_start >= judged.send_at_utc
        AND sessions.session_start < date_add('hour', 1, judged.send_at_utc)
    WHERE NOT judged.is_withheld AND crc32(to_utf8(judged.idempotency_key)) / 4294967296e0 >= kept.share
)

SELECT
    in_sessions.user_id,
    in_sessions.event_time,
    in_sessions.utc_offset_minutes,
    in_sessions.page_type,
    in_sessions.platform
FROM in_sessions
LEFT JOIN caused ON caused.user_id = in_sessions.user_id AND caused.session_start = in_sessions.session_start
WHERE caused.user_id IS NULL
