-- Every record as it stands.
local query = require "base"

return query {
  name = "raw",
  raw = true,
  format = "ndjson",
}
