--- The definition of a query: checked when the script is loaded, so that a typing error is told before anything is sent.
local columns = require "quern.columns"
local options = require "quern.options"
local chunk = require "quern.chunk"
local pages = require "quern.pages"
local param = require "quern.param"

local M = {}

---@class quern.Query
---@field name string  used in messages and as the default name of things
---@field summary? string  one line of help
---@field params? table<string, quern.Param>  parameters by name, given with `-p NAME=VALUE`
---@field validate? fun(p: table): any, any  before anything is sent: raises, or returns an error or nil, err; see quern.validate
---@field client quern.ClientOptions|fun(p: table): quern.ClientOptions  where to ask and how: base_url, auth, headers, limit, retry
---@field prepare? fun(p: table, api: quern.Client): any  runs once before the first leaf (not in `plan`) and may wait: look-ups through the
---  run's client. What it returns goes as JSON to `request` and, as `ctx.shared`, to transforms; at most 64 MB
---@field chunk? quern.ChunkPolicy  default quern.chunk.whole {}
---@field request fun(p: table, chunk: quern.Chunk, shared: any): quern.Request  the first request of a leaf; `shared`: what `prepare` returned
---@field pages? quern.Pager  default: one answer a leaf
---@field job? quern.Job  `request` submits a job; `pages` walks its results
---@field classify? fun(response: quern.Response): string?  retry, split, restart, fail, skip, or nil for the failure table
---@field records string|string[]  JSONPath of the records; a list descends level by level
---@field total? string  JSONPath of the number of records that the API promises a leaf
---@field expect? fun(p: table, chunk: quern.Chunk): integer?  the same, known beforehand
---@field completeness? fun(p: table): { expected: integer, accuracy?: number }?  how many records the whole run should bring; below
---  `accuracy` (default 1: all) of them the run is incomplete
---@field key? string  JSONPath: repeats of a key within a leaf are dropped
---@field owner? string  JSONPath of the time that decides which leaf a record belongs to
---@field order? "owner"  the API answers in ascending owner time; checked
---@field columns? quern.Column[]  what a row is made of: { name, path, as =, reduce =, separator =, default =, scale =, round =, level = }
---@field transform? fun(record: table, row: table, ctx: table): any  a row, a list of rows, or nil to drop
---@field fields? string[]  column order of a transform without columns
---@field raw? boolean  the row is the record's own text
---@field format? "csv"|"ndjson"|"json"  default output format
---@field on_event? fun(event: table)  called with each event of the run, one after another, on the main state; it may wait
local meta = { __name = "quern.query" }

local FIELDS = {
  name = { type = "string", required = true },
  summary = "string", params = "table", validate = "function", client = { type = "table|function", required = true },
  prepare = "function", chunk = "table", request = { type = "function", required = true }, pages = "table", job = "table",
  completeness = "function", classify = "function",
  records = { type = "string|table", required = true }, total = "string", expect = "function",
  key = "string", owner = "string", order = "string", columns = "table", transform = "function",
  fields = "table", raw = "boolean", format = "string", on_event = "function",
}
local FORMATS = { csv = true, ndjson = true, json = true }
local LEVEL = 4 -- of `fail` below a check: errors point at the script's call of quern.query

local function fail(format, ...)
  error(format:format(...), LEVEL)
end

local function check_texts(name, list)
  for key, value in pairs(list or {}) do
    if math.type(key) ~= "integer" or type(value) ~= "string" then fail("%s must be a list of strings", name) end
  end
end

local function check_rows(query)
  if query.raw and (query.columns or query.transform or query.fields) then
    fail("raw rows cannot be combined with columns, transform or fields")
  end
  if not (query.raw or query.columns or query.transform) then
    fail("say what a row is: columns, transform, or raw = true")
  end
  if query.transform and not query.columns and not query.fields then
    fail("a transform without columns needs fields, the list of its column names")
  end
  if query.columns and query.fields then fail("fields is for a transform without columns; leave one of the two out") end
  if query.raw and query.format == "csv" then fail("raw rows are JSON texts; the format cannot be csv") end
end

local function check_parts(query)
  for name, value in pairs(query.params or {}) do
    if not param.is(value) then fail("params.%s must be made by quern.param, such as quern.param.string {}", name) end
  end
  if query.chunk and not chunk.is(query.chunk) then fail("chunk must be made by quern.chunk, such as quern.chunk.whole {}") end
  local list = query.chunk and query.chunk.param
  if list and not (query.params or {})[list] then fail("chunk = quern.chunk.by_list names the parameter '%s', which params has not", list) end
  if query.pages and not pages.is(query.pages) then fail("pages must be made by quern.pages, such as quern.pages.next_link {}") end
  if query.job and not require("quern.job").is(query.job) then fail("job must be made by quern.job { ... }") end
  if query.format and not FORMATS[query.format] then fail("format '%s' is not one of csv, json, ndjson", query.format) end
  if query.order and query.order ~= "owner" then fail("order can only be 'owner', not '%s'", query.order) end
  if query.order and not query.owner then fail("order = 'owner' needs the field owner") end
  if query.owner and (query.chunk or {}).kind ~= "by_time" then
    fail("owner decides between time ranges: it needs chunk = quern.chunk.by_time { ... }")
  end
end

--- Checks a definition and makes it a query. Misuse raises with the field's name.
---@param spec quern.Query
---@return quern.Query
function M.new(spec)
  local query = options.check("quern.query", spec, FIELDS)
  if type(query.records) == "string" then query.records = { query.records } end
  check_parts(query)
  check_texts("records", query.records)
  check_texts("fields", query.fields)
  columns.check(query.columns, query.transform ~= nil, fail, LEVEL)
  check_rows(query)
  query.params = query.params or {}
  query.chunk = query.chunk or chunk.whole {}
  query.pages = query.pages or pages.none()
  return setmetatable(query, meta)
end

---@param value any
---@return boolean
function M.is(value)
  return getmetatable(value) == meta
end

return M
