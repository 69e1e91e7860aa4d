--- One run of a query: leaves side by side, splits, restarts, commits in plan order, and the verdict.
---
--- The run decides nothing that C decides: the chunk tree splits and proves the tiling, the sequencer keeps order, key and
--- owner, the client applies the failure table. Here is only who is asked, when, and what the answers mean for the run.
local task = require "quern.core.task"
local core_run = require "quern.core.run"
local convert = require "quern.core.convert"
local columns = require "quern.columns"
local errors = require "quern.core.error"
local event = require "quern.core.event"
local farewell = require "quern.farewell"
local instant = require "quern.instant"
local json = require "quern.core.json"
local leaves = require "quern.leaf"
local pages = require "quern.pages"
local plugin = require "quern.plugin"
local prepare = require "quern.prepare"
local quarantine = require "quern.quarantine"
local raised = require "quern.raised"
local summary = require "quern.summary"
local window = require "quern.window"

local M = {}

local Run = {}
Run.__index = Run

local LEAVES_AT_ONCE = 4
local HOOK_MS = 10000 -- for on_event, once the run has ended
local WHOLE_AHEAD = 64 -- whole leaves that may wait for an earlier one before new leaves are held back

--- The request of a leaf, built once by the script; walks get copies.
function Run:request_for(leaf)
  if not leaf.request then
    local request = self.query.request(self.params, leaf.chunk, self.shared)
    if type(request) ~= "table" or not (request.path or request.url) then
      error(errors.new("script", ("request of query '%s' must return a table with method and path"):format(self.query.name),
        { exit = 1 }), 0)
    end
    leaf.request = request
  end
  return pages.copy(leaf.request)
end

--- What transforms see of a chunk, as JSON text; made once a chunk.
function Run:chunk_json(chunk)
  local text = self.chunk_texts[chunk]
  if not text then
    local plain = {}
    for name, value in pairs(chunk) do plain[name] = instant.is(value) and value:iso("ms") or value end
    text = json.encode(plain)
    self.chunk_texts[chunk] = text
  end
  return text
end

--- Name of a leaf in messages.
function Run:label(id)
  return leaves.new(self, id).label
end

--- What plan order goes by.
function Run:place(leaf)
  return self.tree:range(leaf.id) or leaf.id
end

-- Rows of a page are there: counts those that come before rows of an earlier place in the plan.
function Run:arrived(leaf, page)
  local place = self:place(leaf)
  local last = self.last_arrived
  if last and (place < last.place or (place == last.place and page < last.page)) then
    self.counts.overtakes = self.counts.overtakes + 1
  end
  self.last_arrived = { place = place, page = page }
end

function Run:hole(leaf, err)
  local reason = tostring(err.message or err)
  self.holes[#self.holes + 1] = { leaf = leaf.label, reason = reason, kind = err.kind, status = err.status }
  event.emit { type = "hole", leaf = leaf.label, reason = reason }
end

-- A leaf has ended without being whole or split.
function Run:failed(leaf, err)
  event.emit { type = "leaf_failed", leaf = leaf.label, kind = err.kind, status = err.status, message = tostring(err.message) }
end

function Run:split(leaf, err)
  local first, second
  if self.cut.split then first, second = self.cut.split(self.tree, leaf.id, leaf.chunk)
  else first, second = self.tree:split(leaf.id) end
  if not first then
    if second == "whole" then
      err.exit = 5
      err.message = tostring(err.message) .. "; this query cannot be split: ask for less, or give it a chunk policy"
      error(err, 0)
    end
    return self:give_up(leaf, errors.new("too_large", ("%s, and %s"):format(tostring(err.message), self.cut.smallest),
      { status = err.status }))
  end
  self.counts.splits = self.counts.splits + 1
  event.emit { type = "split", leaf = leaf.label, into = { self:label(first), self:label(second) },
               reason = tostring(err.message) }
end

-- The leaf fails for good; the others go on, unless the error is one that ends the run.
function Run:give_up(leaf, err)
  if err.exit and err.kind ~= "deferred" then error(err, 0) end
  self.sequencer:fail(leaf.id, tostring(err.message))
  if err.kind == "deferred" then self.deferred = err end
  self.first_failure = self.first_failure or err
  self:failed(leaf, err)
  self:hole(leaf, err)
end

-- Compares what a leaf promised with what came. Answers an error if they differ.
function Run:count(leaf)
  local promise = leaf.promise
  if leaf.doubt and not leaf.cut then return leaf.doubt end
  if math.type(promise) == "integer" then
    if promise ~= leaf.received then
      return errors.new("restart", ("the API promised %d records and sent %d"):format(promise, leaf.received), { counted = true })
    end
    leaf.counted = "yes"
  else
    leaf.counted = promise and "yes" or "not promised"
  end
end

-- The API said twice what cannot be: the leaf is whole, but nothing was promised.
function Run:shrug(leaf, err)
  leaf.counted = "not promised"
  event.emit { type = "log", level = "warn", leaf = leaf.label, message = ("%s: %s"):format(leaf.label, tostring(err.message)) }
end

function Run:whole(leaf, miscount)
  local ok, err = self.sequencer:finish(leaf.id, leaf.pages)
  if not ok then error(err, 0) end
  self.counts.leaves = self.counts.leaves + 1
  self.counted[miscount and "no" or leaf.counted] = true
  local doubt = leaf.cut or miscount
  event.emit { type = "leaf_whole", leaf = leaf.label, records = leaf.received, pages = leaf.pages,
               reason = doubt and tostring(doubt.message) }
  if leaf.cut then self:hole(leaf, leaf.cut) end
  if miscount then self:hole(leaf, miscount) end
end

function Run:fetch(leaf)
  self:request_for(leaf)
  local hash = event.wanted "leaf_started" and require("quern.fingerprint").of(leaf.request) or nil
  event.emit { type = "leaf_started", leaf = leaf.label, hash = hash, job = self.query.job and true or nil }
  local restarted = false
  while true do
    self.sequencer:begin(leaf.id)
    local ok, err = leaves.walk(self, leaf)
    local miscount
    if ok then
      self.succeeded = true
      err = self:count(leaf)
      if err and err.habit and restarted then err = self:shrug(leaf, err) end
      if not err or restarted or leaf.cut then return self:whole(leaf, err) end
      miscount = err
    end
    self.sequencer:discard(leaf.id)
    if err.kind == "skip" then
      leaf.pages, leaf.received, leaf.counted = 0, 0, "not promised"
      self.sequencer:begin(leaf.id)
      return self:whole(leaf)
    elseif err.kind == "too_large" or err.kind == "split" then
      return self:split(leaf, err)
    elseif err.kind == "restart" and not restarted then
      restarted = true
      self.counts.restarts = self.counts.restarts + 1
      event.emit { type = "restart", leaf = leaf.label, reason = tostring((miscount or err).message) }
    else
      return self:give_up(leaf, err)
    end
  end
end

-- Commits what can be committed, as far as the sink has room. True if there is more.
function Run:commit_some()
  local result, err = self.sequencer:advance()
  if not result then error(err, 0) end
  for _, id in ipairs(result.committed) do
    event.emit { type = "leaf_committed", leaf = self:label(id), rows = self.sequencer:facts().rows }
  end
  quarantine.tell(result.failed)
  self.counts.told = self.counts.told + #result.failed
  for _, id in ipairs(result.refetch) do
    self.counts.refetches = self.counts.refetches + 1
    event.emit { type = "restart", leaf = self:label(id), reason = "a neighbour saw a record that this leaf owns but did not deliver" }
  end
  return result.full
end

function Run:commit_all()
  while self:commit_some() do self.sink:wait() end
end

-- Commits what can be committed. Waits while the sink is full, and while another runner does.
function Run:commit()
  while self.committing do self.changed:wait() end
  self.committing = true
  local ok, err = pcall(self.commit_all, self)
  self.committing = false
  self.changed:set()
  if not ok then error(err, 0) end
end

-- May a new leaf start? Not while too many wait for the head, nor while all that was tried has failed.
function Run:may_take()
  if self.active == 0 then return self.succeeded or not self.first_failure end
  if self.first_failure and not self.succeeded then return false end
  return self.tree:counts().whole < WHOLE_AHEAD
end

function Run:take()
  while true do
    local id = self:may_take() and self.tree:take()
    if id then return leaves.new(self, id) end
    if self.active == 0 then return nil end
    self.changed:wait()
  end
end

function Run:runner()
  for leaf in function() return self:take() end do
    self.active = self.active + 1
    local ok, err = pcall(self.fetch, self, leaf)
    if not ok then -- it ends the run, or the run has ended
      self:failed(leaf, raised.error(err))
      error(err, 0)
    end
    self:commit()
    if self.throttle then self.throttle() end
    self.active = self.active - 1
    self.changed:set()
  end
end

-- Runs leaves until none is left, one runner fails or the run is broken; then the others are cancelled.
function Run:drive(concurrency)
  local failure
  local running, runners = concurrency, {}
  for index = 1, concurrency do
    runners[index] = task.spawn(function()
      local ok, err = pcall(self.runner, self)
      if not ok and not failure then failure = raised.error(err) end
      running = running - 1
      self.changed:set()
    end)
  end
  while running > 0 and not failure and not self.broken do self.changed:wait() end
  for _, runner in ipairs(runners) do runner:cancel() end
  for _, runner in ipairs(runners) do runner:join() end -- so that the run has ended when its end is told
  return failure or self.broken
end

--- Ends the run with an error that no leaf met.
---@param err table
function Run:abandon(err)
  self.broken = self.broken or err
  self.changed:set()
end

local function columns_of(query, plugins)
  local list = {}
  columns.add(list, query.columns)
  for _, name in ipairs(query.fields or {}) do list[#list + 1] = { name = name } end
  local owners = {}
  for _, one in ipairs(plugins) do
    local from = #list
    columns.add(list, one.columns)
    for index = from + 1, #list do owners[index] = one end
  end
  return list, owners
end

--- The compiled plan of a query and its plugins for an output format. Raises kind "usage" for a path that does not compile.
---@param bound { query: quern.Query, plugins: table[]?, format: "csv"|"ndjson"|"json", csv_safe: boolean?, on_error: table? }
---@return any plan
function M.compile(bound)
  local query, plugins = bound.query, bound.plugins or {}
  local facts = {}
  for name, path in pairs(query.pages.facts) do facts[#facts + 1] = { name, path } end
  if query.total then facts[#facts + 1] = { "total", query.total } end
  local list, owners = columns_of(query, plugins)
  local ok, plan = pcall(convert.plan, {
    records = query.records, key = query.key, owner = query.owner, facts = facts, columns = list,
    raw = query.raw or false, transform = query.transform ~= nil or plugin.transforms(plugins), format = bound.format, csv_safe = bound.csv_safe,
    on_error = bound.on_error and bound.on_error.mode,
  })
  if ok then return plan end
  local owner = errors.is(plan) and owners[tonumber(plan.message:match "^columns%[(%d+)%]")]
  if owner then plan.message = ("plugin '%s' (%s): %s"):format(owner.name, owner.path, (plan.message:gsub("^columns%[%d+%]", "column"))) end
  error(plan, 0)
end

local function params_json(p)
  local plain = {}
  for name, value in pairs(p) do
    plain[name] = instant.is(value) and value:iso("ms") or value
  end
  return plain
end

local function open(bound, opts)
  local run = setmetatable({
    id = opts.run_id, query = bound.query, params = bound.params, client = bound.client, format = bound.format,
    compression = bound.compression, cut = bound.cut,
    changed = task.event(), active = 0, holes = {}, counted = {}, chunk_texts = setmetatable({}, { __mode = "k" }),
    completeness = bound.completeness, on_error = bound.on_error or { mode = "stop" }, plugins = bound.plugins or {},
    counts = { pages = 0, bytes = 0, leaves = 0, splits = 0, restarts = 0, refetches = 0, overtakes = 0, told = 0 }, started_ms = task.now(),
  }, Run)
  local query = bound.query
  local err
  run.tree = core_run.tree(bound.cut.tree)
  run.plan = M.compile(bound)
  run.inner = opts.inner
  if run.inner then
    run.sink, run.tag, run.throttle = run.inner.sink, run.inner.tag, run.inner.throttle
  else
    run.sink, err = core_run.sink { path = opts.output, format = bound.format, compression = bound.compression, threads = opts.workers,
                                    header = run.plan:header(), run = run.id }
  end
  if not run.sink then return nil, err end
  run.quarantine, err = quarantine.open(bound.on_error, run.id)
  if err then return nil, err end
  run.sequencer = core_run.sequencer {
    tree = run.tree, plan = run.plan, sink = run.sink, quarantine = run.quarantine, key = query.key ~= nil, owner = query.owner ~= nil,
    order = query.order ~= nil, from = bound.cut.tree.from, to = bound.cut.tree.to, spool_dir = opts.spool_dir,
    memory = window.rows_memory(opts.memory), leaf_memory = window.rows_memory(opts.memory),
  }
  return run
end

-- What must be there before the first leaf: what the query prepares, and the workers, which get it. Raises what ends the run.
local function make_ready(run, bound, opts)
  local query, text = run.query, nil
  if query.prepare then run.shared, text = prepare.run(query, run.params, run.client) end
  local transforms = query.transform ~= nil
  local context = { params = params_json(run.params), now_ms = bound.now_ms, strict = bound.strict or nil }
  if #run.plugins > 0 then
    context.transform, context.columns, context.plugins = transforms, json.array(columns.names(query)), plugin.describe(run.plugins)
  end
  context = json.encode(context)
  if text then context = ('%s,"shared":%s}'):format(context:sub(1, -2), text) end
  local err
  run.workers, err = convert.workers {
    threads = opts.workers, plan = run.plan, context = context,
    script = (transforms or plugin.transforms(run.plugins)) and bound.script or nil,
  }
  if not run.workers then error(err, 0) end
  -- A page at each leaf, and some that workers are at: without those an API that answers slowly is asked a sixth less.
  run.window = window.new {
    memory = opts.memory, pages = (opts.concurrency or LEAVES_AT_ONCE) + (run.workers:threads() + 1) // 2,
    rows = function() return run.sequencer:held() end,
  }
end

-- Runs the leaves and commits them; the error that ended the run, or nil.
local function fetch_all(run, bound, opts)
  local ok, failure = pcall(make_ready, run, bound, opts)
  if not ok then return raised.error(failure) end
  ok, failure = pcall(run.drive, run, opts.concurrency or LEAVES_AT_ONCE)
  if not ok then failure = raised.error(failure) end -- interrupted while waiting for the runners
  if not failure then
    ok, failure = pcall(run.commit, run)
    failure = not ok and raised.error(failure) or nil
  end
  return failure
end

-- For the hook of a query inside a program, where other runs tell their events, too.
local function own_events(run, fn)
  local prefix = run.tag .. " "
  return function(told)
    local leaf, summary_of = told.leaf, told.summary
    if told.run == run.id or summary_of and summary_of.run == run.id or leaf and leaf:sub(1, #prefix) == prefix then fn(told) end
  end
end

local function begin(run, opts)
  if opts.audit then opts.audit.on_failure = function(err) run:abandon(err) end end
  local fn = run.query.on_event
  local hook = fn and require("quern.feed").start("on_event", run.tag and own_events(run, fn) or fn)
  if hook then run.forget_hook = farewell.add(function() hook:close() end) end -- if the run is interrupted before it does so itself
  event.emit { type = "run_started", run = run.id, query = run.query.name, leaves = run.tree:counts().open,
               output = not run.inner and (opts.output or "-") or nil, format = run.format, compression = run.compression,
               parent = run.inner and run.inner.parent, tag = run.tag }
  return hook
end

-- A path that selected nothing anywhere is a mistyped one, most of the time.
local function doubt_columns(run, report)
  if report.rows == 0 or report.verdict == "failed" then return end
  for _, name in ipairs(run.plan:unfound()) do
    local records = report.records == 1 and "the only record" or ("all %d records"):format(report.records)
    event.emit { type = "log", level = "warn", column = name, message = ("column '%s' was empty in %s; is its path right?"):format(name, records) }
  end
end

-- Tells the end, and waits for the hook; not after an interrupt: then it has its time when the command has ended.
local function finish(run, failure, hook, opts)
  if opts.audit then failure = opts.audit:settle() or failure end
  local report = summary.close(run, failure, opts)
  if run.workers then run.workers:close() end
  quarantine.total(report, run.counts.told)
  doubt_columns(run, report)
  event.emit { type = "run_finished", summary = report }
  local cancelled = failure and failure.kind == "cancelled" -- a query inside a program: nothing can wait here any more
  if hook and report.exit ~= 130 and not cancelled then
    pcall(hook.close, hook, HOOK_MS) -- interrupted there: the output stands already
    run.forget_hook()
  end
  return report
end

--- Runs a bound query to its end. Waits. The result's `exit` is the command's exit status; nothing stands under the
--- output's name unless the run is whole (or `accept_incomplete` was given).
---@async
---@param bound table  from quern.bind: query, params, client, tree, format, on_error, script, now_ms
---@param opts { run_id: string, output: string?, concurrency: integer?, workers: integer, memory: integer?, accept_incomplete: boolean?, spool_dir: string?, listen: string?, audit: quern.Audit?, inner: table? }
---  `inner`: of a query inside a program, see quern.rows
---@return table? summary
---@return table? err  the run could not begin
function M.execute(bound, opts)
  local listener, run, err
  if opts.listen then
    listener, err = require("quern.webhook").listen(opts.listen)
    if not listener then return nil, err end
  end
  run, err = open(bound, opts)
  if not run then
    if listener then listener:close() end
    return nil, err
  end
  run.listener = listener
  local hook = begin(run, opts)
  local failure = fetch_all(run, bound, opts)
  if listener then listener:close() end
  return finish(run, failure, hook, opts)
end

return M
