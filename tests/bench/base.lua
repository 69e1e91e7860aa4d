-- What the bench's queries share: days of sixteen pages from the page server.
local quern = require "quern"

return function(spec)
  spec.params = { from = quern.param.time { required = true }, to = quern.param.time { required = true } }
  spec.client = { base_url = quern.env "BENCH_URL" }
  spec.chunk = quern.chunk.by_time { size = "P1D", split = false }
  spec.request = function(_, chunk) return { path = "/page", query = { day = chunk.from:iso("s"):sub(1, 10) } } end
  spec.pages = quern.pages.number { size = 1000, stop = "count", count = "$.pageCount" }
  spec.records = "$.conversations[*]"
  return quern.query(spec)
end
