-- The builders of quern.genesys.
local t = require "harness"
local genesys = require "quern.genesys"

t.test("an id of a job is encoded as a part of a path", function()
  local job = genesys.search_job {}
  local id = "a b/c+d?e&%\u{e9}"
  local encoded = "a%20b%2Fc%2Bd%3Fe%26%25%C3%A9"
  t.equal(job.poll(id).path, genesys.DETAILS_QUERY .. "/jobs/" .. encoded)
  t.equal(job.results(id, { page_size = 7 }).path, genesys.DETAILS_QUERY .. "/results/" .. encoded)
  t.equal(job.results(id, { page_size = 7 }).query.pageSize, 7)
  t.equal(job.cancel(id).path, genesys.DETAILS_QUERY .. "/jobs/" .. encoded)
end)
