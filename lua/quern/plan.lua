--- `quern plan`: what a run would do, told without sending anything.
local core_run = require "quern.core.run"
local env = require "quern.core.env"
local json = require "quern.core.json"
local columns = require "quern.columns"
local grant = require "quern.grant"
local options = require "quern.options"
local pages = require "quern.pages"
local param = require "quern.param"
local run = require "quern.run"

local M = {}

local SHOWN = 12

local function chunk_lines(cut, tree, lines)
  local ids = tree:leaves()
  for index, id in ipairs(ids) do
    if index > SHOWN then
      lines[#lines + 1] = ("  … %d more"):format(#ids - SHOWN)
      break
    end
    lines[#lines + 1] = "  " .. cut.view(tree:range(id)).id
  end
  return #ids
end

local function first_request(bound, tree)
  local first = tree:leaves()[1]
  local request = bound.query.request(bound.params, bound.cut.view(tree:range(first)))
  return bound.query.pages:walk(pages.copy(request), bound.params).request
end

-- The first request; where it needs what `prepare` finds, only that.
local function request_lines(bound, tree, lines)
  local made, request = pcall(first_request, bound, tree)
  if not made then
    if not bound.query.prepare then error(request, 0) end
    lines[#lines + 1] = "first request: known when prepare has run"
    return
  end
  local query = {}
  for _, name in ipairs(options.names(request.query or {})) do
    query[#query + 1] = ("%s=%s"):format(name, tostring(request.query[name]))
  end
  local target = request.url or request.path
  if #query > 0 then target = target .. "?" .. table.concat(query, "&") end
  lines[#lines + 1] = ("first request: %s %s"):format(request.method or "GET", target)
  if request.json then lines[#lines + 1] = "  " .. json.encode(request.json) end
end

local function column_lines(bound, lines)
  if bound.query.raw then return end
  lines[#lines + 1] = "columns: " .. table.concat(columns.names(bound.query), ", ")
  for _, plugin in ipairs(bound.plugins) do
    local names = {}
    for index, column in ipairs(plugin.columns) do names[index] = column[1] end
    lines[#lines + 1] = ("  plugin '%s' (%s)%s%s"):format(plugin.name, plugin.path, #names > 0 and " adds " .. table.concat(names, ", ") or "",
      plugin.transform and (#names > 0 and " and" or "") .. " changes rows" or "")
  end
end

-- The variables that the client reads, and which of them are not set.
local function variables(client, query)
  local set = {}
  for _, name in ipairs(client:variables()) do set[name] = true end
  grant.variables(query.job and query.job.webhook, set)
  local names = options.names(set)
  for index, name in ipairs(names) do
    if (env.get(name) or "") == "" then names[index] = name .. " (not set)" end
  end
  return #names > 0 and table.concat(names, ", ") or "no variable"
end

--- Chunks, the first request, what the query is granted, and the least time under its limits.
---@param bound table
---@return table result  exit 0; `text` for people, `chunks`, `seconds`
function M.describe(bound)
  run.compile(bound) -- a path that does not compile is told here too
  local tree = core_run.tree(bound.cut.tree)
  local summary = bound.query.summary
  local lines = { "query " .. bound.query.name .. (summary and ": " .. summary or "") }
  for _, name in ipairs(options.names(bound.params)) do
    lines[#lines + 1] = ("  %s = %s"):format(name, param.text(bound.params[name]))
  end
  local at = #lines + 1
  lines[at] = ""
  local count = chunk_lines(bound.cut, tree, lines)
  lines[at] = ("%d chunk%s, each at least one request:"):format(count, count == 1 and "" or "s")
  if bound.query.prepare then lines[#lines + 1] = "prepare runs first and may send requests of its own" end
  request_lines(bound, tree, lines)
  column_lines(bound, lines)
  lines[#lines + 1] = ("may reach: %s"):format(table.concat(bound.client:origins(), ", "))
  lines[#lines + 1] = ("may read: %s"):format(variables(bound.client, bound.query))
  local seconds = bound.client:least_seconds(count)
  if seconds > 0 then lines[#lines + 1] = ("at least %.0f s under the client's limits"):format(seconds) end
  return { exit = 0, text = table.concat(lines, "\n"), chunks = count, seconds = seconds }
end

return M
