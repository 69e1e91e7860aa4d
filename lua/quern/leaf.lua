--- One leaf: its request, the walk through its pages, and what is known when the walk has ended.
---
--- The walk reads a page, posts its facts to the pager, and hands the page to the workers while it goes on. At most
--- WINDOW pages of a leaf are being converted at once, and the run's own window (quern.window) has room for each page before it is asked for:
--- both stop the pager, so memory stays flat.
local task = require "quern.core.task"
local errors = require "quern.core.error"
local event = require "quern.core.event"
local json = require "quern.core.json"
local view = require "quern.core.view"
local farewell = require "quern.farewell"
local grant = require "quern.grant"

local M = {}

local WINDOW = 2

---@class quern.Leaf
---@field id integer  number in the chunk tree
---@field chunk quern.Chunk  what the script sees
---@field label string  name in messages
---@field received integer  records received in the current walk
---@field pages integer  pages read in the current walk

--- The leaf with a number of the chunk tree.
---@param run table
---@param id integer
---@return quern.Leaf
function M.new(run, id)
  local chunk = run.cut.view(run.tree:range(id))
  return { id = id, chunk = chunk, label = run.tag and run.tag .. " " .. chunk.id or chunk.id, received = 0, pages = 0 }
end

-- What the workers are told of a page.
local function place_of(run, leaf, page)
  return {
    where = ("leaf %s page %d"):format(leaf.label, page), label = leaf.label, leaf = leaf.id, page = page,
    chunk = run:chunk_json(leaf.chunk),
  }
end

-- Accepts a body (then the fetch has ended) or says why not; a refusal is retried as the failure table says.
local function accept(run, response, place)
  if response.status == 204 then return { present = false, count = 0, items = 0, values = {} } end
  local facts, err = run.workers:index(response.body, place)
  if not facts then return nil, err end
  if not facts.present and not run.query.pages.missing_ok then
    return nil, errors.new("body", ("the answer has no records at %s"):format(run.query.records[1]))
  end
  return facts
end

local function read_page(run, leaf, request)
  local cost = run.window:enter(leaf)
  local started = task.now()
  local place = place_of(run, leaf, leaf.pages + 1)
  local response, err = run.client:send(request, {
    leaf = leaf.label,
    classify = run.query.classify,
    empty_ok = run.query.pages.missing_ok,
    accept = function(answer) return accept(run, answer, place) end,
  })
  if not response then
    run.window:leave(leaf, cost)
    return nil, err
  end
  local facts, bytes = response.accepted, #response.body
  response.body:release() -- the document holds what it needs; the rest must not wait for the collector
  leaf.pages = leaf.pages + (facts.doc and 1 or 0) -- 204 ends a walk, but is no page
  leaf.received = leaf.received + facts.count
  run.counts.pages = run.counts.pages + 1
  run.counts.bytes = run.counts.bytes + bytes
  cost = run.window:came(leaf, cost, bytes)
  event.emit { type = "page", leaf = leaf.label, page = leaf.pages, records = facts.count, bytes = bytes, ms = task.now() - started }
  local values = facts.values or {}
  values.total = run.query.total and math.tointeger(values.total) or nil
  return {
    number = leaf.pages, present = facts.present, count = facts.count, items = facts.items, digest = facts.digest, doc = facts.doc, place = place,
    values = values, headers = response.headers, null = json.null, cost = cost,
    reach = function(following) return run.client:reach(following) end,
    resolve = function(link) return run.client:resolve(link, response.url) end,
  }
end

local function convert(run, leaf, page)
  local batch, err = run.workers:rows(page.doc, page.place)
  if not batch then error(err, 0) end
  run:arrived(leaf, page.number)
  local added, add_err = run.sequencer:add(leaf.id, page.number, batch)
  if not added then error(add_err, 0) end
  run.window:leave(leaf, page.cost)
end

-- Waits for the oldest conversion; a transform's error is raised here. The task itself ends well (it is a pcall), so that the
-- errors of later pages, which nobody will wait for, do not become those of the run.
local function settle(converting)
  local done, ok, err = table.remove(converting, 1):join()
  if not done then error(ok, 0) end
  if not ok then error(err, 0) end
end

local function abandon(converting)
  for _, child in ipairs(converting) do child:cancel() end
end

local function repeated(seen, page)
  if page.count == 0 then return false end
  if seen[page.digest] then return true end
  seen[page.digest] = true
  return false
end

-- The pager has had what it wanted of a page. Views of it would keep its memory until the collector comes.
local function let_go(page)
  for _, value in pairs(page.values) do
    if view.is_view(value) then view.release(value) end
  end
end

local function bound_passed(run, walk)
  return errors.new("limit", ("more than %d pages; narrow the range, use smaller chunks, or raise the bound"):format(walk.max),
    { bound = "pages", query = run.query.name })
end

-- A cursor that the API refuses is no mistake of the query: the walk begins again, with a new job if there is one.
local function of_cursor(run, leaf, err)
  if err.kind ~= "invalid" or run.query.pages.kind ~= "cursor" or leaf.pages == 0 then return err end
  return errors.new("restart", tostring(err.message), { status = err.status })
end

local function walk_pages(run, leaf, walk, converting)
  local seen = {}
  local request = walk.request
  while request do
    local page, err = read_page(run, leaf, request)
    if not page then return nil, of_cursor(run, leaf, err) end
    if repeated(seen, page) then
      return nil, errors.new("restart", ("page %d repeats a page of this walk"):format(page.number))
    end
    if page.values.total then leaf.total = page.values.total end
    if #converting >= WINDOW then settle(converting) end
    if page.doc then converting[#converting + 1] = task.spawn(pcall, convert, run, leaf, page)
    else run.window:leave(leaf, page.cost) end
    request, err = walk.next(page)
    let_go(page)
    if err then return nil, err end
    if request and leaf.pages >= walk.max then
      leaf.cut = bound_passed(run, walk)
      break
    end
  end
  while #converting > 0 do settle(converting) end
  return true
end

-- Submits the leaf's job and waits for it; the first request for its results.
local function results_of_job(run, leaf, request)
  local job, hook = run.query.job, nil
  if job.webhook then
    local public = job.webhook.url and grant.must(job.webhook.url)
    hook = run.listener and run.listener:hook(public ~= "" and public or nil)
    local url = hook and hook.url or public
    if url and url ~= "" then job.webhook.set(request, url) end
  end
  local _ <close> = setmetatable({}, { __close = function()
    if hook then hook:close() end
  end })
  local handle, err = job:start(run.client, request, { params = run.params, leaf = leaf.label, hook = hook })
  if not handle then return nil, err end
  local forget = farewell.add(function() handle:cancel() end) -- if the run ends while the job is under way
  local ok, wait_err = handle:wait()
  if not ok then handle:cancel() end
  forget()
  if not ok then return nil, wait_err end
  return handle:results()
end

--- Walks the leaf once. On success its batches are with the sequencer; `leaf.received`, `leaf.pages`, `leaf.promise` (what
--- the API promised: a count, true, or nil), `leaf.doubt` (an error: the pager knows that a promise was not kept) and `leaf.cut` (an
--- error: the page bound ended the walk) are set. Waits.
---@async
---@param run table
---@param leaf quern.Leaf
---@return boolean? ok
---@return table? err
function M.walk(run, leaf)
  leaf.received, leaf.pages, leaf.total, leaf.cut, leaf.doubt = 0, 0, nil, nil, nil
  local request, job_err = run:request_for(leaf)
  if run.query.job then request, job_err = results_of_job(run, leaf, request) end
  if not request then return nil, job_err end
  local walk = run.query.pages:walk(request, run.params)
  run.window:begin(leaf, run:place(leaf))
  local _ <close> = setmetatable({}, { __close = function() run.window:finish(leaf) end })
  local converting <close> = setmetatable({}, { __close = abandon })
  local ok, err = walk_pages(run, leaf, walk, converting)
  if not ok then return nil, err end
  local promised
  promised, leaf.doubt = walk.promised()
  leaf.promise = leaf.total or (run.query.expect and run.query.expect(run.params, leaf.chunk)) or promised
  return true
end

return M
