--- aggregate_tree: totals that the API nests in groups within groups, one row a leaf of the tree.
---
--- A row is `{"dimension_path": [ids from the top to the leaf], "metrics": {...}}`. Groups above a leaf repeat the totals of
--- what is below them, so they make no rows.
---
---     quern run aggregate_tree -p from=2024-01-01 -p to=2024-01-08 -o tree.json
---
--- Environment: GENESYS_BASE_URL or GENESYS_REGION, GENESYS_CLIENT_ID, GENESYS_CLIENT_SECRET.
local quern = require "quern"
local genesys = require "quern.genesys"

return quern.query {
  name = "aggregate_tree",
  summary = "Nested totals by hour and queue, one row a leaf",
  params = {
    from = quern.param.time { default = "-7d", summary = "first instant, included; a full hour" },
    to = quern.param.time { default = "now", summary = "last instant, excluded; a full hour" },
    filter = quern.param.table {
      default = '{"type":"conversation","expression":{"type":"and","clauses":'
        .. '[{"type":"dimension","dimension":"mediaType","operator":"equals","value":"voice"}]}}',
      summary = "the API's filter tree, as JSON",
    },
  },
  client = genesys.tutorial { credentials = "basic" },
  chunk = quern.chunk.by_time { grain = "PT1H", floor = "PT1H" },
  request = function(p, chunk)
    return {
      method = "POST",
      path = "/api/v2/analytics/conversations/aggregate/query",
      json = {
        dateFrom = chunk.from:iso("ms"),
        dateTo = chunk.to:iso("ms"),
        groupBy = { "interval", "routing.queue.id" },
        interval = "PT1H",
        metrics = { "conversationCount", "handleDurationSum", "wrapupDurationSum" },
        filter = p.filter,
        pageSize = 25,
        pageNumber = 1,
      },
    }
  end,
  pages = quern.pages.next_link { path = "$.links.next", follow = { body = "none" } },
  records = "$.entities[*]",
  key = "$", -- the same node on two pages is one; nodes that differ are both kept
  transform = quern.transform.flatten { children = "groups", id = "id", path = "dimension_path", fields = { "metrics" } },
  fields = { "dimension_path", "metrics" },
  format = "json",
}
