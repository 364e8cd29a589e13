SELECT
  *
FROM (
  SELECT
    "t3"."bin",
    "t3"."region",
    "t3"."channel",
    "t3"."device",
    "t3"."kind",
    SUM("t3"."first") AS "n",
    COUNT(*) AS "m"
  FROM (
    SELECT
      "t2"."time",
      "t2"."region",
      "t2"."channel",
      "t2"."device",
      "t2"."kind",
      "t2"."id",
      "t2"."first",
      CAST(FLOOR(
        CAST((
          EXTRACT('epoch' FROM DATE_TRUNC('SECOND', "t2"."time"))
        ) AS DOUBLE PRECISION) / (
          10
        )
      ) AS BIGINT) AS "bin"
    FROM (
      SELECT
        "t1"."time",
        "t1"."region",
        "t1"."channel",
        "t1"."device",
        "t1"."kind",
        "t1"."id",
        CAST((
          ROW_NUMBER() OVER (
            PARTITION BY "t1"."id"
            ORDER BY "t1"."time" ASC, "t1"."region" ASC, "t1"."channel" ASC, "t1"."device" ASC, "t1"."kind" ASC
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
          ) - 1
        ) = 0 AS BIGINT) AS "first"
      FROM (
        SELECT
          "t0"."ts" AS "time",
          "t0"."region",
          'all' AS "channel",
          'all' AS "device",
          "t0"."event_type" AS "kind",
          "t0"."order_id" AS "id"
        FROM "events" AS "t0"
        WHERE
          "t0"."ts" >= CAST('2026-02-08T20:00:00+00:00' AS TIMESTAMPTZ)
      ) AS "t1"
    ) AS "t2"
  ) AS "t3"
  GROUP BY
    1,
    2,
    3,
    4,
    5
) AS "t4"
ORDER BY
  "t4"."bin" ASC,
  "t4"."region" ASC,
  "t4"."channel" ASC,
  "t4"."device" ASC,
  "t4"."kind" ASC
