-- Every record as it stands.
local quern = require "quern"

return quern.query {
  name = "raw",
  params = { from = quern.param.time { required = true }, to = quern.param.time { required = true } },
  client = { base_url = quern.env "BENCH_URL" },
  chunk = quern.chunk.by_time { size = "P1D", split = false },
  request = function(_, chunk) return { path = "/page", query = { day = chunk.from:iso("s"):sub(1, 10) } } end,
  pages = quern.pages.number { size = 1000, stop = "count", count = "$.pageCount" },
  records = "$.conversations[*]",
  raw = true,
  format = "ndjson",
}
