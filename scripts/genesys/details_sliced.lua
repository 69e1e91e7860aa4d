--- details_sliced: every voice conversation of a range, each unchanged, one JSON array.
---
--- The range is asked in chunks of `chunk`. A chunk that the API refuses as too large (413) is never sent again as it was:
--- it is halved, again and again, down to `floor`. A conversation that a server returns in two neighbouring chunks is
--- written once, by the chunk that holds its start.
---
---     quern run details_sliced -p from=2024-01-01 -p to=2024-03-31 -o conversations.json
---
--- Environment: GENESYS_BASE_URL or GENESYS_REGION, GENESYS_CLIENT_ID, GENESYS_CLIENT_SECRET.
local quern = require "quern"
local genesys = require "quern.genesys"

return quern.query {
  name = "details_sliced",
  summary = "Every voice conversation of a range, unchanged; too large chunks are split",
  params = {
    from = quern.param.time { default = "-90d", summary = "first instant, included" },
    to = quern.param.time { default = "now", summary = "last instant, excluded" },
    chunk = quern.param.duration { default = "P30D", summary = "range of one request before any split" },
    floor = quern.param.duration { default = "PT1H", summary = "no split below this" },
  },
  client = genesys.tutorial { credentials = "form" },
  chunk = quern.chunk.by_time {
    size = function(p) return p.chunk end,
    floor = function(p) return p.floor end,
    grain = "PT1S",
  },
  request = function(_, chunk)
    return {
      method = "POST",
      path = "/api/v2/analytics/conversations/details/query",
      json = {
        dateFrom = chunk.from:iso("s"),
        dateTo = chunk.to:iso("s"),
        groupBy = { "conversationId" },
        metrics = { "total", "talk", "hold", "work", "wait", "wrapup" },
        filter = { type = "conversation", values = { "voice" } },
      },
    }
  end,
  records = "$.entities[*]",
  key = "$.conversationId",
  owner = "$.conversationStart",
  raw = true,
  format = "json",
}
