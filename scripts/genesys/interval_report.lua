--- interval_report: conversation counts and handle time in buckets of 15, 30 or 60 minutes or a day, one row a bucket.
---
--- `interval` is the bucket. The range and every chunk lie on it, so that no bucket is cut. Handle time comes in milliseconds and
--- is written in seconds with two decimals.
---
---     quern run interval_report -p from=2024-01-01 -p to=2024-01-08 -p interval=PT30M -o buckets.json
---
--- Environment: GENESYS_BASE_URL or GENESYS_REGION, GENESYS_CLIENT_ID, GENESYS_CLIENT_SECRET.
local quern = require "quern"
local genesys = require "quern.genesys"

local function bucket(p) return p.interval end

return quern.query {
  name = "interval_report",
  summary = "Counts and handle time of conversations in buckets of time",
  params = {
    from = quern.param.time { default = "-7d", summary = "first instant, included; on the bucket" },
    to = quern.param.time { default = "now", summary = "last instant, excluded; on the bucket" },
    interval = quern.param.enum { values = { "PT15M", "PT30M", "PT1H", "P1D" }, default = "PT30M", alias = "bucket",
                                  summary = "the bucket" },
  },
  client = genesys.tutorial { credentials = "form", scope = "analytics:conversation:view" },
  chunk = quern.chunk.by_time { grain = bucket, floor = bucket },
  request = function(p, chunk)
    return {
      method = "POST",
      path = "/api/v2/analytics/conversations/aggregates/query",
      json = {
        dateFrom = chunk.from:iso("s"),
        dateTo = chunk.to:iso("s"),
        interval = p.interval,
        groupBy = { "date" },
        metrics = { "conversationCount", "handledCount", "abandonedCount", "averageHandleTime" },
      },
    }
  end,
  pages = quern.pages.next_link { path = "$.nextPage" },
  records = "$.entities[*]",
  key = "$.date",
  owner = "$.date",
  columns = {
    { "interval_start", "$.date" },
    { "conversationCount", "$.metrics.conversationCount" },
    { "handledCount", "$.metrics.handledCount" },
    { "abandonedCount", "$.metrics.abandonedCount" },
    { "averageHandleTime", "$.metrics.averageHandleTime", scale = 0.001, round = 2 },
  },
  format = "json",
}
